"""The four guidelines of the ShuffleNet V2 paper, measured again on the user's own devices."""
