"""``rmsuite check``: run the executable contract on a method."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from pathlib import Path

from rmsuite import checks, plugins
from rmsuite.commands import shared


def check(options: Namespace) -> int:
    """Run the executable contract on one method."""
    catalogue = shared.catalogue(options)
    plugin, configured = catalogue.configured(options.method)
    findings = checks.check_method(checks.Subject(configured, _listing(plugin)))
    shown = set()
    for finding in findings:
        print(f"{finding.status:8}{finding.check.name:22}{finding.check.promise}")
        if finding.status != "passed":
            text = f"{finding.evidence}" + (f". Do: {finding.remedy}" if finding.remedy else "")
            print(f"{'':8}{'as above' if text in shown else text}")
            shown.add(text)
    count = Counter(finding.status for finding in findings)
    print(f"{configured.label}: {count['passed']} passed, {count['failed']} failed, {count['skipped']} did not apply")
    return 1 if count["failed"] else 0


def _listing(plugin: plugins.Plugin) -> str:
    if plugin.origin.endswith(".py"):
        return checks.file_listing(Path(plugin.origin))
    group = f"entry_points(group={plugins.GROUP!r}, name={plugin.name!r})"
    return f"from importlib.metadata import entry_points; [e.load() for e in {group}]"
