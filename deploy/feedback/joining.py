"""Which executed op computes which op of the network: the rules, one after another.

Export tied tensors of the file to the ops of the network that compute the same values. With the
flow of data on both sides, that tells what happened between two values that are known in both:

1. What an executed op computes by its values is its own. Of several that compute one op, the first
   whose word fits it owns it, the others help. Moving or converting data computes nothing, so that
   an inserted layout conversion does not pass for the convolution whose values it moves.
2. An executed op whose word tells a kind of work that it does not own yet takes the first op of
   that kind that nobody owns, among those between the values that it gives and the values that are
   known before: a "FusedConv" with the values of an activation takes the convolution before it, a
   "QuickGelu" without any known value takes the activation.
3. What is left was fused. An activation, an addition or the like goes to what computed its latest
   input, for runtimes fuse them behind and not before; all else goes to what reads it.
4. Executed ops that own nothing, and compute, help to finish what was begun before them between
   the same values, else whatever reads them: LiteRT's sigmoid before a multiplication is a part of
   SiLU. So do ops of the file that move data and end up with values that the network has nowhere:
   LiteRT's padding is a part of the pooling behind it.

An op that costs nothing on paper (a view) and was not executed has vanished, and nobody owns it.
In a manifest from before data flow was known, the order of the ops stands for it; then light ops of
one branch may be shown with its neighbour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from groundspeed.artifact import Manifest
from groundspeed.deploy.feedback.flow import canonical_flow, executed_flow, nearest, reached
from groundspeed.deploy.vocabulary import WITH_MACS, sort_of, word_of
from groundspeed.measurement import ProfiledOp
from groundspeed.ops import OpKind

# What a runtime computes on the values that a convolution or a linear layer has just made.
_FOLLOWS = frozenset({OpKind.ACTIVATION, OpKind.ELEMENTWISE, OpKind.NORMALIZATION})
_MOVING = frozenset({OpKind.DATA_MOVEMENT, OpKind.QUANTIZE})


class Joining:
    """What each executed op owns, helps with or moves; ops are named by their positions.

    Args:
        manifest: of the file.
        executed: what the runtime executed.

    Attributes:
        owned: for each executed op, the ops of the network that it computes, in order.
        helped: executed op -> the op of the network that it computes a part of.
        owners: op of the network -> the executed op that owns it.
        ties: for each executed op, the ops of the network that have the values of its outputs.
    """

    def __init__(self, manifest: Manifest, executed: Sequence[ProfiledOp]) -> None:
        places = {op.name: place for place, op in enumerate(manifest.ops)}
        tensors = manifest.tensors or {}
        self.ties: Final = [
            tuple(places[tensors[name]] for name in op.outputs if tensors.get(name) in places)
            for op in executed
        ]
        self.owned: Final[list[list[int]]] = [[] for _ in executed]
        self.helped: Final[dict[int, int]] = {}
        self.owners: Final[dict[int, int]] = {}
        self._ops = manifest.ops
        self._executed = executed
        self._words = [word_of(op) for op in executed]
        self._network = canonical_flow(manifest.ops)
        self._run = executed_flow(executed)
        self._by_values()
        self._valued = frozenset(self.owners)
        self._by_kinds()
        if not any(op.inputs for op in manifest.ops):
            self._by_order()
        self._by_flow()
        self._helpers()
        for owned in self.owned:
            owned.sort()

    def moves(self, position: int) -> bool:
        """Return whether an executed op changes where or how values are kept, not the values."""
        return self._executed[position].inserted or self._words[position] in _MOVING

    def value(self, position: int) -> int | None:
        """Return the op of the network whose value an executed op moves, if that is known.

        Where it moves an input of the network, it is the op that reads it.
        """
        if self.ties[position]:
            return max(self.ties[position])
        before = nearest(self._run.sources[position], self._run.sources, self._is_known)
        if (source := max(before, default=None)) is not None:
            return self._last(source)
        reader = self._reader(position)
        return None if reader is None else self._first(reader)

    def _by_values(self) -> None:
        makers: dict[int, list[int]] = defaultdict(list)
        for position, ties in enumerate(self.ties):
            for place in ties:
                if self._may_make(position, place):
                    makers[place].append(position)
        for place, positions in makers.items():
            owner = next((each for each in positions if self._fits(each, place)), positions[0])
            self._own(owner, place)
            for position in positions:
                alike = not self.moves(position) or self._same(position, owner)
                if alike and not self.owned[position]:
                    self.helped[position] = place

    def _by_kinds(self) -> None:
        for position in range(len(self._executed)):
            for place in sorted(self._between(position)):
                if self._is_free(place) and self._lacks(position, place):
                    self._own(position, place)
                    break

    def _by_order(self) -> None:
        """Give layers that nobody owns to the next executed ops that can be such layers."""
        for place, op in enumerate(self._ops):
            if op.macs and self._is_free(place):
                later = (self.owners.get(each) for each in range(place + 1, len(self._ops)))
                for position in later:
                    if position is not None and self._lacks(position, place):
                        self._own(position, place)
                        break

    def _by_flow(self) -> None:
        owned = self.owners.__contains__
        for place, op in enumerate(self._ops):
            if op.macs or not self._is_free(place):
                continue
            sources = nearest(self._network.sources[place], self._network.sources, owned)
            readers = nearest(self._network.readers[place], self._network.readers, owned)
            before = sorted(self.owners[each] for each in sources)
            after = sorted(self.owners[each] for each in readers)
            computing = [position for position in before if not self.moves(position)]
            if op.kind in _FOLLOWS and computing:
                self._own(computing[-1], place)
            elif after or before:
                self._own(after[0] if after else before[-1], place)

    def _helpers(self) -> None:
        # From the end: what helps a helper finds it settled.
        for position in reversed(range(len(self._executed))):
            if self._is_known(position) or (self.moves(position) and not self._is_step(position)):
                continue
            place = self._begun(position)
            if place is None and (reader := self._reader(position)) is not None:
                place = self._first(reader)
            if place is not None:
                self.helped[position] = place
                self._hand_over(position, place)

    def _hand_over(self, position: int, place: int) -> None:
        """Let a helper own a layer if it multiplies and the owner does not.

        With ranges that are found anew in each inference, a product by the scale gives the values.
        """
        owner = self.owners.get(place)
        if owner is None or not self._ops[place].macs or not self._fits(position, place):
            return
        if not self._fits(owner, place):
            self.owned[owner].remove(place)
            if not self.owned[owner]:
                self.helped[owner] = place
            self._own(position, place)

    def _reader(self, position: int) -> int | None:
        """Return the first known executed op that what an executed op gives comes to."""
        readers = nearest(self._run.readers[position], self._run.readers, self._is_known)
        return min(readers, default=None)

    def _begun(self, position: int) -> int | None:
        """Return the last op that an earlier executed op owns without giving its values."""
        if self.moves(position):
            return None
        multiplies = self._words[position] in WITH_MACS
        between = (
            place
            for place in self._between(position)
            if self.owners.get(place, position) < position
            and (self._ops[place].macs > 0) is multiplies
        )
        return max(between, default=None)

    def _between(self, position: int) -> set[int]:
        """Return the ops between what an executed op gives and the values known before."""
        tied = nearest([position], self._run.readers, lambda each: bool(self.ties[each]))
        given = {place for each in tied for place in self.ties[each]}
        starts = [
            each
            for place in given
            for each in (self._network.sources[place] if place in self._valued else [place])
        ]
        return reached(starts, self._network.sources, self._valued.__contains__)

    def _computes(self, position: int) -> bool:
        return bool(self.owned[position]) or position in self.helped

    def _own(self, position: int, place: int) -> None:
        self.owners[place] = position
        self.owned[position].append(place)
        self.helped.pop(position, None)

    def _is_free(self, place: int) -> bool:
        op = self._ops[place]
        return place not in self.owners and bool(op.flops or op.memory_bytes)

    def _may_make(self, position: int, place: int) -> bool:
        """Return whether an executed op with the values of an op can have computed them."""
        if self._executed[position].inserted:
            return False
        moved = self._ops[place].kind is OpKind.DATA_MOVEMENT
        return self._words[position] not in _MOVING or (
            moved and self._words[position] is OpKind.DATA_MOVEMENT
        )

    def _fits(self, position: int, place: int) -> bool:
        return sort_of(self._words[position]) is sort_of(self._ops[place].kind)

    def _lacks(self, position: int, place: int) -> bool:
        """Return whether an executed op does such work by its word, and owns none yet."""
        wanted = sort_of(self._ops[place].kind)
        if self.moves(position) or wanted in _MOVING:
            return False
        if self._words[position] is OpKind.OTHER:
            return not self.owned[position]
        owned = (sort_of(self._ops[each].kind) for each in self.owned[position])
        return self._fits(position, place) and wanted not in owned

    def _is_step(self, position: int) -> bool:
        """Return whether moving data is a step towards what reads it.

        A tensor of the file that is made from others and has the values of no op is on the way to
        one. What the runtime moves for itself has no tensor in the file, and integers stand for the
        values that they were made from.
        """
        executed = self._executed[position]
        of_the_file = bool(executed.outputs and executed.reads) and not executed.inserted
        return of_the_file and self._words[position] is OpKind.DATA_MOVEMENT

    def _is_known(self, position: int) -> bool:
        return bool(self.ties[position]) or self._computes(position)

    def _last(self, position: int) -> int:
        """Return the op of the network whose value an executed op gives."""
        if position in self.helped:
            return self.helped[position]
        return max(self.owned[position] or self.ties[position])

    def _first(self, position: int) -> int:
        """Return the op of the network that an executed op begins with."""
        return min(self.owned[position], default=self._last(position))

    def _same(self, position: int, other: int) -> bool:
        return self._executed[position].name == self._executed[other].name
