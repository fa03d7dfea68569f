"""Green Button files, and what must not be read from them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from energy_chain.errors import InvalidInput
from energy_chain.meters import FileOptions, Measurements, ReadingsError, inspect, measure
from energy_chain.meters import complete as completed
from tests.package.meter_files import green_button

Reader = Callable[..., Measurements]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    def read(text: str, **said: Any) -> Measurements:
        path = tmp_path / "usage.xml"
        path.write_text(text)
        return measure([path], FileOptions(**said))

    return read


def test_energy_delivered_is_consumption_of_the_usage_point(read: Reader) -> None:
    readings = completed(read(green_button([500, 250])))
    assert readings.meters == ("7",)
    assert readings.period == timedelta(hours=1)
    assert readings.consumption[:, 0].tolist() == [500 * 10**6, 250 * 10**6]
    assert readings.production[:, 0].tolist() == [0, 0]
    assert readings.starts[0].isoformat() == "2013-12-31T19:00:00-05:00"


def test_energy_received_is_production_of_the_same_meter(read: Reader) -> None:
    readings = completed(read(green_button([5, 6], produced=[1, 2], multiplier=3)))
    assert readings.consumption[:, 0].tolist() == [5 * 10**9, 6 * 10**9]
    assert readings.production[:, 0].tolist() == [10**9, 2 * 10**9]


def test_the_only_usage_point_can_be_named(read: Reader) -> None:
    assert read(green_button([1, 2]), meter="barn").meters == ("barn",)


def test_half_of_a_reading_is_told_by_its_line(read: Reader) -> None:
    with pytest.raises(ReadingsError, match=r"line \d+: meter 7: no production at the same time"):
        completed(read(green_button([1, 2, 3], produced=[1, 2])))


def test_the_same_start_twice_is_refused(read: Reader) -> None:
    twice = green_button([1, 2, 3]).replace("<start>1388538000<", "<start>1388534400<")
    with pytest.raises(ReadingsError, match="is a reading of the same period"):
        completed(read(twice))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<value>2<", "<value>two<", "consumption 'two' is no energy"),
        ("<value>2<", "<value>-2<", "is no energy"),
        ("<value>2<", "<value>1e400<", "is no energy"),
        ("<start>1388534400<", "<start>soon<", "a reading without a start"),
        ("<start>1388534400<", "<start>99999999999999<", "a reading without a start"),
        ("<duration>3600<", "<duration>900<", "a reading of 900 s among those of 3600 s"),
    ],
)
def test_a_reading_that_cannot_be_used_is_told_by_its_line(
    read: Reader, old: str, new: str, reason: str
) -> None:
    text = green_button([2, 3])
    line = 1 + text[: text.index("<IntervalReading>")].count("\n")
    with pytest.raises(ReadingsError) as error:
        completed(read(text.replace(old, new, 1)))
    [problem] = error.value.problems
    assert problem.line == line
    assert reason in problem.message


def test_doubtful_quality_is_told_and_read(read: Reader) -> None:
    quality = "<ReadingQuality><quality>8</quality></ReadingQuality>"
    found = inspect(read(green_button([1, 2], quality=quality)))
    assert found.facts["quality"] == "2 estimated by a reference day"
    assert "the quality of a reading is 'estimated by a reference day'" in str(found.odd[0])
    assert found.refusal is None


def test_good_quality_is_counted_and_not_told(read: Reader) -> None:
    quality = "<ReadingQuality><quality>17</quality></ReadingQuality>"
    found = inspect(read(green_button([1, 2], quality=quality)))
    assert found.facts["quality"] == "2 validated"
    assert found.odd == ()


@pytest.mark.parametrize("other", [{"unit": 119}, {"unit": 38}, {"behaviour": 3}])
def test_other_series_than_energy_of_periods_are_not_read(read: Reader, other: Any) -> None:
    with pytest.raises(InvalidInput, match="no series of electric energy"):
        read(green_button([1, 2], **other))


def test_two_series_for_one_purpose_are_refused(read: Reader) -> None:
    text = green_button([1, 2], produced=[1, 2]).replace("<flowDirection>19<", "<flowDirection>1<")
    with pytest.raises(InvalidInput, match="usage point 7 has 2 series of consumption"):
        read(text)


def test_intervals_of_several_lengths_are_refused(read: Reader) -> None:
    text = green_button([1, 2], produced=[1, 2])
    other = text.replace("<intervalLength>3600<", "<intervalLength>900<", 1)
    with pytest.raises(InvalidInput, match="has intervals of 900 and 3600 s"):
        read(other)


def test_one_name_cannot_be_given_to_two_usage_points(read: Reader) -> None:
    one, other = green_button([1, 2]), green_button([3, 4]).replace("UsagePoint/7", "UsagePoint/8")
    both = one.replace("</feed>", other[other.index("<entry>") :])
    assert read(both).meters == ("7", "8")
    with pytest.raises(InvalidInput, match="has 2 usage points: leave out --meter-name"):
        read(both, meter="a")


def test_series_that_are_left_out_are_told(read: Reader) -> None:
    text = green_button([1, 2], produced=[1, 2])
    facts = read(text.replace("<flowDirection>19<", "<flowDirection>4<")).facts
    assert facts["left out"] == "1 series of unit 72 and flow 4"


def test_entities_that_grow_without_end_are_refused(read: Reader) -> None:
    bomb = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>\n'
    with pytest.raises(InvalidInput, match=r"line 2: it declares a document type"):
        read(green_button(["&b;", 2], before=bomb))


def test_nothing_is_fetched_from_elsewhere(read: Reader, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("4711")
    text = f'<!DOCTYPE f [<!ENTITY x SYSTEM "{secret.as_uri()}">]>\n'
    with pytest.raises(InvalidInput, match="document type"):
        read(green_button(["&x;", 2], before=text))


def test_what_is_not_xml_is_refused_by_its_line(read: Reader) -> None:
    with pytest.raises(InvalidInput, match=r"line 2: not XML: "):
        read("<feed>\n<entry></feed>")
