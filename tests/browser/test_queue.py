"""queue.js: messages are numbered, kept until acknowledged, and outlive a reload of the page."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def clock_page(chromium, modules_url):
    """An empty page whose time passes only when told."""
    with chromium.new_context() as context:
        page = context.new_page()
        page.clock.install()
        page.goto(modules_url)
        page.clock.pause_at("2030-01-01")
        yield page


START = """async ([name, storeId, pick]) => {
  const { Queue } = await import('/browser/queue.js');
  const sent = [];
  const send = (client, messages, again) =>
    sent.push({ client, messages: structuredClone(messages), again });
  const storage = pick && { storage: (0, eval)(`(${pick})`) };
  globalThis[name] = { queue: new Queue({ storeId, send, ...storage }), sent };
}"""


class Queue:
    """A queue in the page, under a name of its own."""

    def __init__(self, page, name="one", store="store", storage=None):
        self.page, self.name = page, name
        page.evaluate(START, [name, store, storage])

    def run(self, code):
        return self.page.evaluate(
            "([name, code]) => (0, eval)(`({ queue, sent }) => { ${code} }`)(globalThis[name])",
            [self.name, code],
        )

    def add(self, *ops):
        for op in ops:
            self.run(f"queue.add({{ op: '{op}' }})")

    def acknowledge(self, seq, client=None):
        self.run(f"queue.acknowledge({{ '{client or self.client}': {seq} }})")

    @property
    def client(self):
        return self.run("return queue.client")

    @property
    def sent(self):
        """Client, numbers and ops of each thing sent, and whether it was sent before."""
        return [
            (
                one["client"],
                [(m["seq"], m["message"]["op"]) for m in one["messages"]],
                one["again"],
            )
            for one in self.run("return sent")
        ]

    @property
    def pending(self):
        return [one["seq"] for one in self.run("return queue.pending")]


def stored(page):
    return page.evaluate("() => Object.keys(sessionStorage).length")


def test_messages_are_numbered_from_1_and_sent_at_once(bare_page):
    one = Queue(bare_page)
    one.add("undo", "redo", "undo")

    assert one.sent == [
        (one.client, [(1, "undo")], False),
        (one.client, [(2, "redo")], False),
        (one.client, [(3, "undo")], False),
    ]
    assert one.pending == [1, 2, 3]


def test_what_is_acknowledged_is_forgotten(bare_page):
    one = Queue(bare_page)
    one.add("undo", "redo", "undo")

    one.acknowledge(9, client="someone else")
    assert one.pending == [1, 2, 3]
    one.acknowledge(2)
    assert one.pending == [3]
    assert stored(bare_page) == 1
    one.acknowledge(3)
    assert one.pending == []
    assert stored(bare_page) == 0


def test_what_is_not_acknowledged_is_sent_again_and_again_ever_more_slowly(clock_page):
    one = Queue(clock_page)
    one.add("undo", "redo")

    clock_page.clock.run_for(2900)
    assert len(one.sent) == 2
    clock_page.clock.run_for(200)
    again = (one.client, [(1, "undo"), (2, "redo")], True)
    assert one.sent[2:] == [again]
    clock_page.clock.run_for(5800)
    assert len(one.sent) == 3
    clock_page.clock.run_for(200)
    assert one.sent[2:] == [again] * 2
    clock_page.clock.run_for(20_100 * 10)
    assert len(one.sent) == 4 + 10  # after 12 s, then every 20 s


def test_sending_again_ends_with_the_acknowledgement(clock_page):
    one = Queue(clock_page)
    one.add("undo")
    one.acknowledge(1)

    clock_page.clock.run_for(60_000)
    assert len(one.sent) == 1


def test_a_lost_message_is_sent_again_while_new_ones_keep_coming(clock_page):
    one = Queue(clock_page)
    for _ in range(4):
        one.add("undo")
        clock_page.clock.run_for(1000)

    assert [numbers for _, numbers, again in one.sent if again] == [
        [(1, "undo"), (2, "undo"), (3, "undo")]
    ]


def test_a_closed_queue_sends_no_more(clock_page):
    one = Queue(clock_page)
    one.add("undo")
    one.run("queue.close()")

    clock_page.clock.run_for(60_000)
    assert len(one.sent) == 1


def test_what_is_added_to_a_closed_queue_is_kept_for_the_next(bare_page):
    one = Queue(bare_page, "one")
    one.add("undo")
    one.run("queue.close()")
    one.add("redo")
    assert len(one.sent) == 1

    two = Queue(bare_page, "two")
    assert two.sent == [(one.client, [(1, "undo"), (2, "redo")], True)]


def test_after_a_reload_what_was_left_is_sent_under_its_client_and_number(bare_page):
    one = Queue(bare_page)
    one.add("undo", "redo", "undo")
    one.acknowledge(1)
    client = one.client
    bare_page.reload()

    two = Queue(bare_page)
    assert two.sent == [(client, [(2, "redo"), (3, "undo")], True)]
    assert two.client != client
    two.add("undo")
    assert two.sent[-1] == (two.client, [(1, "undo")], False)
    two.acknowledge(3, client)
    assert two.pending == [1]
    two.acknowledge(1)
    assert stored(bare_page) == 0


def test_what_was_left_survives_a_second_reload_and_is_gone_when_acknowledged(bare_page):
    one = Queue(bare_page)
    one.add("undo")
    client = one.client
    bare_page.reload()
    Queue(bare_page)
    bare_page.reload()

    three = Queue(bare_page)
    assert three.sent == [(client, [(1, "undo")], True)]
    three.acknowledge(1, client)
    bare_page.reload()
    assert Queue(bare_page).sent == []


def test_after_a_reload_old_messages_do_not_move_the_view(bare_page):
    one = Queue(bare_page)
    one.run("queue.add({ op: 'goto', position: 7 })")
    one.run("queue.add({ op: 'edit', changes: [], image: 'a', position: 1, goto: 2 })")
    one.run("queue.add({ op: 'todo' })")
    one.run("queue.add({ op: 'undo' })")
    bare_page.reload()

    [again] = Queue(bare_page).run("return sent")
    assert [(m["seq"], m["message"]["op"]) for m in again["messages"]] == [
        (1, "none"),
        (2, "edit"),
        (3, "none"),
        (4, "undo"),
    ]
    assert again["messages"][1]["message"].get("goto") is None


def test_two_widgets_of_a_page_leave_each_other_their_messages(bare_page):
    one = Queue(bare_page, "one")
    one.add("undo")
    two = Queue(bare_page, "two")
    two.add("redo")

    assert two.sent == [(two.client, [(1, "redo")], False)]
    two.acknowledge(1)
    one.add("undo")
    client = one.client
    bare_page.reload()
    assert Queue(bare_page).sent == [(client, [(1, "undo"), (2, "undo")], True)]


def test_what_a_closed_widget_left_is_kept_for_the_next_by_its_neighbours(bare_page):
    neighbour = Queue(bare_page, "neighbour")
    one = Queue(bare_page, "one")
    one.add("undo")
    one.run("queue.close()")
    neighbour.add("redo")
    neighbour.acknowledge(1)

    two = Queue(bare_page, "two")
    assert two.sent == [(one.client, [(1, "undo")], True)]


def test_messages_of_another_store_are_left_alone(bare_page):
    one = Queue(bare_page, store="mine")
    one.add("undo")
    bare_page.reload()

    assert Queue(bare_page, store="other").sent == []
    assert len(Queue(bare_page, "two", store="mine").sent) == 1


FULL = """{
  __proto__: null,
  getItem: () => null,
  removeItem: () => {},
  setItem: () => { throw new DOMException('full', 'QuotaExceededError'); },
}"""


def test_a_full_storage_stops_nothing(bare_page):
    one = Queue(bare_page, storage=FULL)
    one.add("undo", "redo")

    assert [numbers for _, numbers, _ in one.sent] == [[(1, "undo")], [(2, "redo")]]
    one.acknowledge(1)
    assert one.pending == [2]


def test_a_forbidden_storage_stops_nothing(bare_page):
    bare_page.evaluate(
        """() => Object.defineProperty(globalThis, 'sessionStorage', {
          get() { throw new DOMException('forbidden', 'SecurityError'); },
        })"""
    )
    one = Queue(bare_page)
    one.add("undo")

    assert one.sent == [(one.client, [(1, "undo")], False)]
    one.acknowledge(1)
    assert one.pending == []


def test_damaged_storage_loses_only_what_is_damaged(bare_page):
    one = Queue(bare_page)
    one.add("undo")
    client = one.client
    bare_page.evaluate("() => sessionStorage.setItem('nbannotate:store:0', '[{')")
    bare_page.reload()

    two = Queue(bare_page)
    assert two.sent == [(client, [(1, "undo")], True)]
    two.acknowledge(1, client)
    assert stored(bare_page) == 0
