"""All planted faults."""

from device_tests.host.deploy.feedback.planted.first_half import FIRST_HALF
from device_tests.host.deploy.feedback.planted.second_half import SECOND_HALF

PLANTED = (*FIRST_HALF, *SECOND_HALF)
