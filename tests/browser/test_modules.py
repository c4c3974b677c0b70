"""The pure modules of the console, asked directly in the browser."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

from tests.browser.conftest import Console

ABSENT = "\N{EN DASH}"


async def ask(page: Page, module: str, body: str, *arguments: Any) -> Any:
    """Run `body` with the module as `m` and the arguments as `a`."""
    return await page.evaluate(f"async (a) => {{ const m = await import('/{module}'); {body} }}", list(arguments))


async def test_sse_in_any_cut(console: Console) -> None:
    page = await console.open()
    text = (
        ": connected\nretry: 2000\n\n"
        "id: 7\nevent: metrics\ndata: {\"a\":\ndata: 1}\n\n"
        "id: 8\r\nevent: log\r\ndata:no space\r\n\r\n"
        "event: training_status\rdata: ä😀\r\r"
        "id: 9\ndata: never finished\n"
    )  # fmt: skip
    expected = [
        {"id": "7", "event": "metrics", "data": '{"a":\n1}'},
        {"id": "8", "event": "log", "data": "no space"},
        {"id": None, "event": "training_status", "data": "ä😀"},
    ]
    # Every way to cut the text in two, and one character at a time.
    wrong = await ask(
        page,
        "sse.js",
        """
        const [text, expected] = a;
        const wrong = [];
        const check = (parts, name) => {
          const parser = new m.SseParser();
          const got = parts.flatMap((part) => parser.push(part));
          if (JSON.stringify(got) !== JSON.stringify(expected)) wrong.push([name, got]);
        };
        for (let i = 0; i <= text.length; i += 1) check([text.slice(0, i), text.slice(i)], i);
        check([...text], "characters");
        return wrong;
        """,
        text,
        expected,
    )
    assert wrong == []


async def test_backoff_doubles_and_is_bounded(console: Console) -> None:
    page = await console.open()
    low, high = await ask(
        page,
        "live.js",
        "return [0, 0.999999].map((random) => [1, 2, 3, 4, 5, 6, 50].map((n) => Math.round(m.backoffMs(n, random))))",
    )
    assert low == [250, 500, 1000, 2000, 4000, 7500, 7500]
    assert high == [500, 1000, 2000, 4000, 8000, 15000, 15000]


async def test_columns_tell_gaps_from_absence(console: Console) -> None:
    page = await console.open()
    train = {"phase": "train", "batch": None}
    val = {"phase": "val", "batch": None}
    rows = [
        {**train, "epoch": 1, "values": {"train_loss": 1.0, "val_loss": None}},
        {**val, "epoch": 1, "values": {"train_loss": None, "val_loss": 2.0}},
        {**train, "epoch": 2, "values": {"train_loss": None, "val_loss": None}},
        {**val, "epoch": 2, "values": {"train_loss": None, "val_loss": 1.5}},
        {**train, "epoch": 3, "values": {"train_loss": 0.5, "val_loss": None}},
        {**train, "epoch": 3, "values": {"train_loss": 99.0}},  # a repeat
        {"phase": "train", "batch": 1, "epoch": 3, "values": {"train_loss": 0.7}},
        {"phase": "train", "batch": 4, "epoch": 3, "values": {"train_loss": 0.6}},
    ]
    epoch, step = await ask(
        page,
        "series.js",
        """
        const series = new m.MetricSeries();
        a[0].forEach((row) => series.add(row));
        const shown = (value) => (value === undefined ? "absent" : value);
        const plain = (columns) => columns.map((column) => column.map(shown));
        return ["epoch", "step"].map((level) => plain(series.columns(["train_loss", "val_loss"], level)));
        """,
        rows,
    )
    # A train row of epoch 2 without a number is a gap; that val rows have no train_loss is none.
    assert epoch == [[1, 2, 3], [1.0, None, 0.5], [2.0, 1.5, "absent"]]
    # Batch 1 and 4 of 4 in epoch 3 stand at 2.25 and 3; steps carry train_loss, so its epoch rows are left out.
    assert step == [[1, 2, 2.25, 3], ["absent", "absent", 0.7, 0.6], [2.0, 1.5, "absent", "absent"]]


FORMATS = {
    "number(null)": ABSENT,
    "number(NaN)": ABSENT,
    "number(0)": "0",
    "number(0.25671)": "0.2567",
    "number(0.0005)": "5e-4",
    "number(0.00012345)": "1.23e-4",
    "number(12345)": "12,345",
    "number(-2500000)": "-2.5e6",
    "exponent(0.001)": "1e-3",
    "exponent(0.00099512)": "9.95e-4",
    "exponent(0)": "0",
    "share(0.8764)": "87.6 %",
    "share(null)": ABSENT,
    "percent(99.99)": "99 %",
    "duration(59_400)": "59 s",
    "duration(130_000)": "2 min 10 s",
    "duration(7_200_000)": "2 h",
    "duration(273_600_000)": "3 d 4 h",
    "duration(NaN)": ABSENT,
    "age(172_800_000)": "2 d",
    "bytes(13_912_000)": "13.9 MB",
    "bytes(512)": "512 B",
    "dateTime('nonsense')": ABSENT,
}


async def test_a_gap_reaches_from_value_to_value(console: Console) -> None:
    page = await console.open()
    val = {"phase": "val", "batch": None}
    rows = [{**val, "epoch": epoch, "values": {"val_loss": loss}} for epoch, loss in ((1, 3.0), (2, None), (3, 1.0))]
    rows += [
        {"phase": "train", "batch": batch, "epoch": epoch, "values": {"train_loss": 0.5}}
        for epoch in (1, 2, 3)
        for batch in (1, 2)
    ]
    xs, losses = await ask(
        page,
        "series.js",
        """
        const series = new m.MetricSeries();
        a[0].forEach((row) => series.add(row));
        const [xs, losses] = series.columns(["val_loss", "train_loss"], "step");
        return [xs, losses.map((value) => (value === undefined ? "absent" : value))];
        """,
        rows,
    )
    assert xs == [0.5, 1, 1.5, 2, 2.5, 3]
    assert losses == ["absent", 3.0, None, None, None, 1.0]


async def test_format(console: Console) -> None:
    page = await console.open()
    calls = ", ".join(f"m.{call}" for call in FORMATS)
    assert await ask(page, "format.js", f"return [{calls}]") == list(FORMATS.values())


async def test_times_are_in_the_zone_of_the_viewer(console: Console) -> None:
    page = await console.open(timezone_id="Asia/Tokyo", locale="en-GB")
    text = await ask(page, "format.js", "return m.dateTime('2026-03-01T20:00:00Z')")
    assert "2 Mar 2026" in text
    assert "05:00:00" in text


async def test_log_lines_lose_what_a_terminal_would_not_show(console: Console) -> None:
    page = await console.open()
    cases = {
        "plain": "plain",
        "\x1b[1;31mred\x1b[0m text": "red text",
        "\x1b]0;title\x07after": "after",
        "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": "link",
        " 10%\r 20%\r100%": "100%",
        "ends with return\r": "ends with return",
        "\x1b[2K\x1b[1Gline": "line",
        "\x9b31mred\x9b0m": "red",
        "\x1b_never ended": "",
        "\x1bPdevice\x1b\\after": "after",
        "a\u202egnp.exe": "a\ufffdgnp.exe",
        "bell\x07 and\ttab": "bell\ufffd and\ttab",
        "": "",
    }
    cleaned = await ask(page, "logtext.js", "return a[0].map(m.cleanLine)", list(cases))
    assert cleaned == list(cases.values())


async def test_heights_tell_where_rows_stand(console: Console) -> None:
    page = await console.open()
    wrong = await ask(
        page,
        "heights.js",
        """
        const heights = new m.Heights(20);
        const plain = [];
        const wrong = [];
        let dice = 7;
        const next = (below) => (dice = (dice * 48271) % 2147483647) % below;
        for (let round = 0; round < 60; round += 1) {
          while (plain.length < 50 * (round + 1)) plain.push(20);
          heights.grow(plain.length);
          for (let i = 0; i < 20; i += 1) {
            const at = next(plain.length);
            plain[at] = 20 + next(100);
            heights.set(at, plain[at]);
          }
          const sums = [0];
          for (const px of plain) sums.push(sums.at(-1) + px);
          const at = next(plain.length);
          if (heights.total !== sums.at(-1) || heights.offset(at) !== sums[at]) wrong.push(["offset", round]);
          if (heights.at(sums[at]) !== at || heights.at(sums[at] + plain[at] - 1) !== at) wrong.push(["at", round]);
          if (heights.at(sums.at(-1) + 9) !== plain.length - 1) wrong.push(["end", round]);
        }
        return wrong;
        """,
    )
    assert wrong == []


async def test_the_fold_never_goes_back(console: Console) -> None:
    page = await console.open()
    job = {
        "id": "j",
        "status": "running",
        "attempt": 2,
        "progress_percent": 50.0,
        "current_epoch": 5,
        "started_at": "t",
    }
    old = {"attempt": 1, "restart": 0}
    folded = await ask(
        page,
        "fold.js",
        """
        const at = "2026-01-01T00:00:00Z";
        const fold = (job, events) => events.reduce((job, [kind, data]) => m.fold(job, { kind, data, at }), job);
        return a[1].map((events) => fold(a[0], events));
        """,
        job,
        [
            [["progress", {**old, "attempt": 2, "percent": 40, "epoch": 4, "eta_seconds": None, "origin": "reported"}]],
            [["pending", {**old, "reason": "late"}], ["scheduled", {**old, "submission_id": "x"}]],
            [
                ["succeeded", {}],
                ["failed", {"reason": "exception", "message": "late"}],
                ["started", {**old, "attempt": 3}],
            ],
            [["something_new", {}]],
        ],
    )
    assert (folded[0]["progress_percent"], folded[0]["current_epoch"]) == (50.0, 5)
    assert folded[1] == job
    assert (folded[2]["status"], folded[2]["progress_percent"], "error_message" in folded[2]) == (
        "completed",
        100,
        False,
    )
    assert folded[3] == job
