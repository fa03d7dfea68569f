"""P1 telegrams: a file and a stream of them, checked by their CRC."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from energy_chain.errors import InvalidInput
from energy_chain.meters import FileOptions, ReadingsError, read_readings
from energy_chain.meters.files.p1 import BadTelegram, Telegram, parse_telegram, telegrams
from tests.package.meter_files import telegram, telegrams_of

FIRST = datetime(2017, 1, 2, 19)
QUARTER = timedelta(minutes=15)


def read_file(path: Path, data: bytes, **said: object) -> list[float]:
    """What a file's meter consumed in each period, in Wh."""
    path.write_bytes(data)
    readings = read_readings([path], FileOptions(**said))  # type: ignore[arg-type]
    return [energy / 10**6 for energy in readings.consumption[:, 0].tolist()]


def test_a_telegram_has_a_meter_a_time_and_the_sum_of_its_tariffs() -> None:
    found = parse_telegram(telegram())
    assert (found.meter, found.consumption, found.production) == (
        "4B38",
        6_825 * 10**6,
        2_444 * 10**6,
    )
    assert found.time is not None
    assert found.time.isoformat() == "2017-01-02T19:20:00+01:00"


def test_a_telegram_in_summer_has_the_offset_of_summer() -> None:
    time = parse_telegram(telegram("170702192000S")).time
    assert time is not None
    assert time.isoformat() == "2017-07-02T19:20:00+02:00"


def test_a_total_of_all_tariffs_goes_before_them() -> None:
    data = telegram(crc="").replace(b"1-0:1.8.1(", b"1-0:1.8.0(000009.000*kWh)\r\n1-0:1.8.1(")
    from dsmr_parser.parsers import TelegramParser

    body = data.decode().strip()
    data = f"{body}{TelegramParser.crc16(body):04X}\r\n".encode()
    assert parse_telegram(data).consumption == 9 * 10**9


def test_a_damaged_telegram_is_told_by_its_line_and_the_next_is_read() -> None:
    damaged = telegram().replace(b"4.426", b"4.427")
    first, second, third = telegrams([telegram() + damaged + telegram()])
    assert isinstance(first, Telegram)
    assert isinstance(second, BadTelegram)
    assert str(second) == "line 14: the telegram's CRC is wrong: it was damaged on its way"
    assert isinstance(third, Telegram)
    assert third.line == 27


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_stream_comes_in_pieces_of_any_size(size: int) -> None:
    data = telegram() * 3
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert [found.line for found in telegrams(pieces)] == [1, 14, 27]


def test_a_telegram_under_way_when_the_stream_begins_is_left_out() -> None:
    assert [type(found) for found in telegrams([telegram()[40:] + telegram()])] == [Telegram]


def test_a_telegram_that_is_cut_off_is_told() -> None:
    found = list(telegrams([telegram()[:-30] + b"\r\n" + telegram() + telegram()[:-30]]))
    assert [type(each) for each in found] == [BadTelegram, Telegram, BadTelegram]
    assert "ends without its last line" in str(found[0])


def test_line_ends_that_a_file_has_lost_do_not_matter() -> None:
    assert parse_telegram(telegram().replace(b"\r\n", b"\n")).meter == "4B38"


def test_a_crc_in_small_letters_is_one() -> None:
    data = telegram()
    assert parse_telegram(data[:-6] + data[-6:].lower()).meter == "4B38"


def test_a_telegram_without_an_end_is_not_collected_for_ever() -> None:
    endless = b"/x\r\n" + b"0-0:96.13.0()\r\n" * 10_000
    [found, *_] = telegrams([endless])
    assert isinstance(found, BadTelegram)
    assert "more than 65536 bytes" in found.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (telegram(crc=""), "no CRC"),
        (telegram("170102192000X"), "its time is '170102192000X'"),
        (telegram("171302192000W"), "its time is"),
        (telegram(used=()), "no register of consumption"),
        (telegram(used=("1.5.5",)), "cannot be read"),
        (telegram(meter=""), "no equipment identifier"),
        (telegram().replace(b"*kWh", b"*MWh"), "CRC is wrong"),
        (b"nothing\r\n", "0 telegrams where one is expected"),
        (telegram() * 2, "2 telegrams where one is expected"),
        (telegram(crc="12"), "its last line is '!12'"),
        (telegram().replace(b"0002", b"\xff002"), "not ASCII"),
        (telegram().replace(b"0002", b"0!W2"), "cannot be read"),
    ],
)
def test_a_telegram_that_cannot_be_used_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(BadTelegram, match=reason):
        parse_telegram(data)


def test_a_telegram_before_dsmr_4_has_neither_time_nor_crc() -> None:
    assert parse_telegram(telegram(None)).time is None


def test_registers_at_the_borders_of_periods_give_energies(tmp_path: Path) -> None:
    registers = [f"{4 + place / 10:010.3f}" for place in range(91)]
    data = telegrams_of(FIRST, timedelta(seconds=30), registers)
    assert read_file(tmp_path / "p1.txt", data) == [3000, 3000, 3000]


def test_a_border_without_a_telegram_is_a_gap_and_never_made_up(tmp_path: Path) -> None:
    parts = [
        telegrams_of(FIRST + place * QUARTER, QUARTER, [f"{place:010.3f}"])
        for place in (0, 1, 3, 4)
    ]
    with pytest.raises(ReadingsError, match=r"no reading from 2017-01-02T19:15.* \(2 periods\)"):
        read_file(tmp_path / "p1.txt", b"".join(parts))


def test_another_period_can_be_asked_for(tmp_path: Path) -> None:
    data = telegrams_of(FIRST, QUARTER, [f"{place:010.3f}" for place in range(9)])
    assert read_file(tmp_path / "p1.txt", data, period=timedelta(hours=1)) == [4000, 4000]


def test_a_damaged_telegram_in_a_file_is_a_problem_at_its_line(tmp_path: Path) -> None:
    data = telegram() + telegram("170102193000W").replace(b"4.426", b"4.427")
    with pytest.raises(ReadingsError, match="line 14: the telegram's CRC is wrong"):
        read_file(tmp_path / "p1.txt", data)


def test_telegrams_without_a_time_are_no_file_of_readings(tmp_path: Path) -> None:
    with pytest.raises(ReadingsError, match="line 1: the telegram has no time"):
        read_file(tmp_path / "p1.txt", telegram(None))


def test_a_file_that_only_claims_to_have_telegrams_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p1.txt").write_text("nothing")
    from energy_chain.meters import Format

    with pytest.raises(InvalidInput, match="has no P1 telegram"):
        read_readings([tmp_path / "p1.txt"], FileOptions(format=Format.P1))
