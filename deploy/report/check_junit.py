"""A gate's verdicts as JUnit XML, which every CI system reads.

Spec: https://github.com/testmoapp/junitxml. A comparison is a test case; what is inconclusive is an
error there, because a skipped case is green.
"""

from __future__ import annotations

from xml.etree import ElementTree

from groundspeed.deploy.gate.decision import Verdict
from groundspeed.deploy.gate.gate import Judged
from groundspeed.deploy.report.check_text import budget, ratio, reason, title


def junit(judged: Judged) -> str:
    """Return the verdicts as a JUnit document."""
    spent = [(one, each) for one in judged.comparisons for each in one.spent]
    verdicts = [one.verdict for one in judged.comparisons] + [each.verdict for _, each in spent]
    suite = ElementTree.Element(
        "testsuite",
        name="groundspeed check",
        tests=str(len(verdicts) + len(judged.missing)),
        failures=str(verdicts.count(Verdict.FAIL)),
        errors=str(verdicts.count(Verdict.INCONCLUSIVE) + len(judged.missing)),
    )
    for one in judged.comparisons:
        said = " ".join(part for part in (ratio(one), reason(one, judged.rules)) if part)
        _case(suite, title(one), one.verdict, said)
    for one, each in spent:
        _case(suite, f"{title(one)}: {each.name}", each.verdict, budget(each))
    for name in judged.missing:
        _case(suite, name, Verdict.INCONCLUSIVE, "the baseline has no such file")
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, name: str, verdict: Verdict, said: str) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname="groundspeed.check", name=name)
    if verdict is Verdict.PASS:
        ElementTree.SubElement(case, "system-out").text = said
    else:
        kind = "failure" if verdict is Verdict.FAIL else "error"
        ElementTree.SubElement(case, kind, message=said, type=verdict.value)
