"""A file's engine may crash, hang, print and raise; whoever asked goes on, and knows why."""

from __future__ import annotations

import numpy as np
import pytest

from groundspeed.deploy.isolation import IsolatedSession
from groundspeed.errors import ArtifactError, LaunchError, MissingExtra, UnknownName
from groundspeed.measurement import Options

FEEDS = {"x": np.ones((1, 3, 4, 5), np.float32)}


def test_outputs_and_tensors_come_back(engine, capfd) -> None:
    with IsolatedSession("mine", engine("mine", weights=np.ones((2, 60))), Options()) as session:
        session.ask_outputs([FEEDS, {"x": 2 * FEEDS["x"]}])
        first, second = session.receive()
        assert first["scores"] == pytest.approx(60)
        assert second["scores"] == pytest.approx(120)
        session.ask_tensors(FEEDS, frozenset({"image in the file"}))
        assert list(session.receive()) == ["image in the file"]
        assert session.inputs[0].name == "x"
        assert session.outputs[0].shape == (1, 2)
    assert capfd.readouterr() == ("", ""), "what engines print is kept away"


def test_a_crash_is_told_with_its_signal_and_last_words(engine) -> None:
    with IsolatedSession("mine", engine("mine", behaviour="crash"), Options()) as session:
        session.ask_outputs([FEEDS])
        with pytest.raises(LaunchError, match=r"ran mine ended .*SIGABRT.*engine: assertion"):
            session.receive()
        session.ask_outputs([FEEDS])  # nobody is there any more
        with pytest.raises(LaunchError, match="ended without an answer"):
            session.receive()


def test_what_hangs_is_ended(engine) -> None:
    artifact = engine("mine", behaviour="hang")
    with IsolatedSession("mine", artifact, Options(), timeout_s=20) as session:
        session._timeout_s = 0.5
        session.ask_outputs([FEEDS])
        with pytest.raises(LaunchError, match="mine gave no answer within 0 s"):
            session.receive()


def test_what_an_engine_raises_is_told(engine) -> None:
    with IsolatedSession("mine", engine("mine", behaviour="raise"), Options()) as session:
        session.ask_outputs([FEEDS])
        with pytest.raises(LaunchError, match="fake failed: ValueError: no such kernel"):
            session.receive()


def test_what_cannot_be_opened_keeps_its_class(engine) -> None:
    with pytest.raises(ArtifactError, match="damaged"):
        IsolatedSession("mine", engine("mine", behaviour="damaged"), Options())


def test_a_runtime_that_is_not_there(make_artifact) -> None:
    with pytest.raises(UnknownName, match="no runtime 'nothing'"):
        IsolatedSession("mine", make_artifact(runtime="nothing"), Options())


def test_errors_with_advice_survive_the_way_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(MissingExtra("pip install it")))
    assert str(error) == "pip install it"
