"""The page in a headless Chromium: sliders, pickers, boxes, addresses, keyboard, two at once."""

import json
import shlex

import pytest

SLIDER = 'input[type=range][data-path="memory.hbm.bandwidth"]'
MOVE = """(node, steps) => { node.value = Number(node.value) + steps;
    node.dispatchEvent(new Event('input', { bubbles: true })); }"""
POINT = ["--model", "llama-3.1-8b", "--workload", "chat-8k", "--tp", "2", "--batch", "16"]


@pytest.fixture(scope="module")
def person(browser):
    """``person()``: a browser of someone's own, with its own cache."""
    contexts = []

    def another():
        contexts.append(browser.new_context(viewport={"width": 1440, "height": 1000}))
        return contexts[-1]

    yield another
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def first(person):
    return person()


@pytest.fixture
def window(first, server):
    """``window(query)``: a page that has settled; it may ask for nothing outside."""
    outside, pages = [], []

    def opened(query="", of=None):
        page = (of or first).new_page()
        pages.append(page)
        page.on("request", lambda request: outside.append(request.url))
        page.on("pageerror", lambda error: outside.append(str(error)))
        page.goto(server.address + query)
        settle(page)
        return page

    yield opened
    for page in pages:
        page.close()
    loopback = (server.address, "data:", "blob:")
    assert [url for url in outside if not url.startswith(loopback)] == []


def settle(page, until="answered"):
    """Wait until the newest question is answered and drawn; settled: the slower part too."""
    page.wait_for_function(
        """(until) => { const graph = document.querySelector('#curve .js-plotly-plot');
        if (!window.dseExplore || !window.dseExplore[until]()) return false;
        if (document.body.classList.contains('wrong')) return true;
        return graph && graph.layout.meta && graph.layout.meta.n >= window.dseExplore.newest();
        }""",
        arg=until,
    )


def numbers(page):
    """(metric, side) -> value shown, unrounded."""
    rows = page.evaluate(
        """() => [...document.querySelectorAll('#headline [data-side]')].map(
        (node) => [node.dataset.metric, node.dataset.side, node.dataset.value])"""
    )
    return {(metric, side): float(value) for metric, side, value in rows}


def move(page, steps):
    """Move the slider of HBM bandwidth as a hand does."""
    page.eval_on_selector(SLIDER, MOVE, steps)
    settle(page)


def words(page):
    """The command that the page shows, without the program and the verb."""
    return shlex.split(page.inner_text("#command"))[2:]


def same(page, said):
    for (metric, side), value in numbers(page).items():
        assert value == said["comparison"][metric][side], metric


def test_a_slider_moves_curve_and_numbers_as_whatif_says(window, whatif):
    page = window()
    first = numbers(page)
    assert first["user_tokens_per_s", "base"] == first["user_tokens_per_s", "changed"]
    lines = "document.querySelector('#curve .js-plotly-plot').data.filter((d) => d.showlegend)"
    assert page.evaluate(lines + ".length") == 1
    move(page, 60)
    assert page.evaluate(lines + ".length") == 2
    command = words(page)
    assert "--set" in command
    assert set(POINT) <= set(command)
    assert "memory.hbm.bandwidth=" in page.url
    same(page, whatif(*command))
    assert numbers(page)["user_tokens_per_s", "changed"] > first["user_tokens_per_s", "changed"]
    settle(page, "settled")
    rows = page.evaluate(
        """() => [...document.querySelectorAll('#pays td')].map(
        (node) => [node.dataset.path, node.dataset.metric, node.dataset.value])"""
    )
    paid = {row["path"]: row for row in whatif(*command)["payoffs"]}
    assert len(rows) >= 8
    for path, metric, value in rows:
        assert float(value) == paid[path][metric]


def test_a_value_is_typed_and_the_address_shared(window, whatif):
    page = window()
    box = page.locator('[data-path="voltage"] .box')
    box.fill("0.7 V")
    box.press("Enter")
    settle(page)
    assert "voltage=0.7V" in page.url
    assert box.input_value() == "700 mV"
    other = window(page.url.partition("?")[1] + page.url.partition("?")[2])
    assert numbers(other) == numbers(page)
    assert other.inner_text("#command") == page.inner_text("#command")
    same(other, whatif(*words(other)))
    box.fill("7 GB")
    box.press("Enter")
    settle(page)
    assert "is not a unit of this kind" in page.inner_text("#message")
    page.click("#reset")
    settle(page)
    assert page.inner_text("#message") == ""
    shown = numbers(page)
    assert shown["j_per_token", "base"] == shown["j_per_token", "changed"]


def test_a_chip_is_picked_and_infeasible_is_an_answer(window, whatif):
    page = window()
    page.select_option("#chip", "reticle_n3_hbm4")
    settle(page)
    assert page.locator('[data-path="sram_voltage"]').count() == 2  # its row and its slider
    box = page.locator('[data-path="batch"] .box')
    box.fill("4000")
    box.press("Enter")
    settle(page)
    assert "This does not fit" in page.inner_text("#message")
    assert "Infeasible" in page.inner_text("#spoken")
    said = whatif(*words(page))
    assert not said["feasible"]
    same(page, said)
    page.click("[data-apply^='batch=']")  # waits until what helps is known
    settle(page)
    assert page.inner_text("#message") == ""
    assert whatif(*words(page))["feasible"]


def test_two_browsers_ask_their_own_questions(window, person, whatif):
    one = window("?chip=h100_sxm&model=llama-3.1-8b")
    two = window("?chip=b200_sxm&model=llama-3.1-8b&batch=64", of=person())
    for page in (one, two):
        page.eval_on_selector(SLIDER, MOVE, 60)  # both are under way at once
    for page, chip in ((one, "h100_sxm"), (two, "b200_sxm")):
        settle(page)
        assert words(page)[0] == chip
        same(page, whatif(*words(page)))


def test_it_works_by_keyboard_and_says_what_it_shows(window):
    page = window()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    page.focus(SLIDER)
    before = page.get_attribute(SLIDER, "aria-valuetext")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    settle(page)
    assert page.get_attribute(SLIDER, "aria-valuetext") != before
    assert "User tokens/s" in page.inner_text("#spoken")
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('input, select, button')].filter((node) =>
        !node.labels?.length && !node.getAttribute('aria-label') && !node.textContent.trim()
        ).map((node) => node.outerHTML)"""
    )
    assert unnamed == []
    meters = page.locator("[role=meter]")
    assert meters.count() >= 2
    assert meters.first.get_attribute("aria-valuetext")


def test_a_curve_stays_pinned_and_the_page_turns_dark(window):
    page = window()
    move(page, 40)
    page.click("#pin")
    settle(page)
    move(page, 40)
    drawn = json.loads(page.evaluate(
        "JSON.stringify(document.querySelector('#curve .js-plotly-plot').data"
        ".filter((d) => d.showlegend).map((d) => d.name))"
    ))  # fmt: skip
    assert len(drawn) == 3
    assert any(name.startswith("pinned") for name in drawn)
    assert "pin=" in page.url
    page.click("#theme")
    settle(page)
    assert page.get_attribute("html", "data-theme") == "dark"
    page.click("#unpin")
    settle(page)
    assert "pin=" not in page.url


def test_a_malformed_address_is_answered_on_the_page(window):
    page = window("?chip=h100_sxn&model=llama-3.1-8b")
    assert "did you mean h100_sxm" in page.inner_text("#message")
    page.select_option("#chip", "h100_sxm")
    settle(page)
    assert numbers(page)
