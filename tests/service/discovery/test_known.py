"""What is known of EVerest's modules: kept over starts, and changed by answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everest_system.configuration.settings import Settings
from everest_system.discovery.known import (
    ASSUMED,
    MOST_MODULES,
    KnownModules,
    load,
    save,
    settings_with,
    updated,
)
from everest_system.fsm.errors import WorldError


def known(*names, heard=True):
    return KnownModules(periods_s=dict.fromkeys(names, 5), heard=heard)


def found(*names):
    return dict.fromkeys(names, 5)


@pytest.mark.parametrize(
    ("before", "answered", "whole", "jobs", "after"),
    [
        (None, "a", False, "", "a"),
        (ASSUMED, "a", False, "", "a"),
        (ASSUMED, "a", True, "system_api", "a system_api"),
        (known("a"), "a", True, "", "a"),
        (known("a"), "a b", False, "", "a b"),
        (known("a", "b"), "b", False, "", "a b"),
        (known("a", "b"), "b", True, "", "b"),
        (known("a", "b"), "b", True, "a", "a b"),
        (known("a"), "b", True, "", "b"),
    ],
)
def test_what_an_answer_changes(before, answered, whole, jobs, after):
    """New modules come in at once; one that is silent goes when all could answer, and never with a job under way."""
    now = updated(before, found(*answered.split()), whole=whole, has_job=jobs.split().__contains__)
    assert now == known(*after.split()).model_copy(
        update={"periods_s": {name: 0 if name == "system_api" else 5 for name in after.split()}}
    )


@given(st.sets(st.from_regex(r"[a-z]{1,3}", fullmatch=True), min_size=1, max_size=60), st.booleans())
def test_there_are_never_too_many(names, whole):
    """However many answer, at most 16 are served, and those known before that answered are among them."""
    first = updated(None, found(*sorted(names)[:MOST_MODULES]), whole=False, has_job=lambda _: False)
    then = updated(first, found(*names), whole=whole, has_job=lambda _: False)
    assert len(then.periods_s) == min(len(names), MOST_MODULES)
    assert set(first.module_ids) <= set(then.module_ids)


@pytest.mark.parametrize(
    ("periods", "interval_s"), [((5,), 1.5), ((60,), 1.5), ((0,), 1.5), ((2,), 0.6), ((0, 1, 60), 0.3)]
)
def test_the_communication_check_follows(periods, interval_s):
    """Where EVerest is less patient than usual checks come more often, for the least patient; never less often."""
    modules = KnownModules(periods_s={f"m{number}": period for number, period in enumerate(periods)})
    settings = settings_with(Settings.model_validate({"station": {"module_ids": ["auto"]}}), modules)
    assert settings.station.communication_check_interval_s == pytest.approx(interval_s)


def test_a_configured_interval_that_is_shorter_holds():
    """An interval shorter than EVerest asks for stays as it is configured."""
    assert KnownModules(periods_s={"a": 2}).interval_s(0.1) == 0.1


def test_it_is_kept(tmp_path):
    """What was saved is loaded; of nothing, nothing is known."""
    assert load(tmp_path) is None
    save(tmp_path, ASSUMED)
    assert load(tmp_path) == ASSUMED
    save(tmp_path, known("b", "a"))
    assert load(tmp_path) == known("a", "b")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"periods_s":{}}',
        '{"periods_s":{"../x":1}}',
        '{"periods_s":{"a":-1}}',
        '{"periods_s":{"a":1},"more":1}',
        '{"periods_s":{' + ",".join(f'"m{number}":1' for number in range(17)) + "}}",
        '{"periods_s":{"a":1}' + " " * 20_000 + "}",
    ],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path, content):
    """A file that makes no sense is taken for none: EVerest knows better."""
    (tmp_path / "modules.json").write_text(content)
    assert load(tmp_path) is None


def test_a_file_that_cannot_be_used_is_told(tmp_path):
    """Where the file cannot be read or written, the error names it."""
    (tmp_path / "modules.json").mkdir()
    with pytest.raises(WorldError, match=r"modules\.json: Is a directory"):
        load(tmp_path)
    with pytest.raises(WorldError, match=r"modules\.json: "):
        save(tmp_path, ASSUMED)
