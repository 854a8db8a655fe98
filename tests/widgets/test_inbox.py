"""Each message takes effect once, in order, and is acknowledged when it is on disk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbannotate.errors import RightsError, StoreError
from nbannotate.widgets.inbox import Inbox
from nbannotate.widgets.messages import Batch, Goto, Numbered

from .conftest import Browser, box


def goto(position):
    return {"op": "goto", "position": position}


class Log:
    """An inbox that notes what it takes."""

    def __init__(self, stored=0):
        self.taken, self.reported, self.failing = [], [], None
        self.inbox = Inbox(lambda client: stored, self.take, self.report)

    def take(self, message, stamp):
        if self.failing is not None:
            raise self.failing
        assert isinstance(message, Goto)
        self.taken.append(stamp[1])

    def report(self, error, about):
        self.reported.append(str(error))

    def receive(self, *seqs, again=False, content=None):
        items = tuple(Numbered(seq, content or goto(seq)) for seq in seqs)
        self.inbox.receive(Batch("client", items, again))


def test_a_message_that_comes_twice_is_taken_once():
    log = Log()
    log.receive(1)
    log.receive(1)
    log.receive(1, again=True)
    assert log.taken == [1]


def test_a_gap_asks_for_everything_again_and_takes_nothing():
    log = Log()
    log.receive(1)
    log.receive(3)
    assert (log.taken, log.inbox.resend) == ([1], 1)
    log.receive(2, 3, again=True)
    assert (log.taken, log.inbox.resend) == ([1, 2, 3], 1)


def test_what_the_store_has_already_is_not_taken_again():
    log = Log(stored=4)
    log.receive(3, 4, 5, again=True)
    assert log.taken == [5]


def test_all_that_is_left_may_start_anywhere():
    # Moves are not in the store: after a restart of the kernel their numbers are missing there.
    log = Log(stored=2)
    log.receive(5, 6, again=True)
    assert log.taken == [5, 6]


def test_a_store_in_trouble_takes_nothing_and_acknowledges_nothing_until_it_can():
    log = Log()
    log.failing = StoreError("disk full")
    log.receive(1)
    log.receive(1, 2, again=True)
    assert log.inbox.acked == {"client": 0}
    assert log.inbox.trouble == "disk full"
    assert log.reported == ["disk full"], "told once, not at each try"
    log.failing = None
    log.receive(1, 2, again=True)
    assert log.taken == [1, 2]
    assert log.inbox.trouble is None


def test_what_a_login_may_not_do_is_said_and_does_not_hold_up_the_next():
    log = Log()
    log.failing = RightsError("belongs to another annotator")
    log.receive(1)
    log.failing = None
    log.receive(2)
    assert (log.taken, log.reported) == ([2], ["belongs to another annotator"])
    assert (log.inbox.acked, log.inbox.trouble) == ({"client": 2}, None)


def test_a_store_that_cannot_say_what_it_has_takes_nothing_until_it_can():
    log = Log()

    def fail(client):
        raise StoreError("drive gone")

    log.inbox._acknowledged = fail
    log.receive(1)
    log.receive(1, again=True)
    assert (log.taken, log.reported, log.inbox.trouble) == ([], ["drive gone"], "drive gone")
    log.inbox._acknowledged = lambda client: 0
    log.receive(1, 2, again=True)
    assert (log.taken, log.inbox.trouble) == ([1, 2], None)


def test_a_message_that_cannot_be_done_does_not_hold_up_the_next():
    log = Log()
    log.failing = ValueError("no such thing")
    log.receive(1)
    log.failing = None
    log.receive(2)
    assert log.taken == [2]
    assert log.reported == ["no such thing"]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("one"), st.integers(1, 8)),
            st.tuples(st.just("all"), st.integers(1, 8)),
        ),
        max_size=30,
    )
)
def test_whatever_is_lost_or_doubled_each_is_taken_once_and_in_order(deliveries):
    log = Log()
    for how, seq in deliveries:
        if how == "one":
            log.receive(seq)
        else:  # a client sends all from what it knows to be acknowledged
            first = log.inbox.acked.get("client", 0) + 1
            log.receive(*range(first, max(first, seq) + 1), again=True)
    assert log.taken == list(range(1, len(log.taken) + 1))


def test_clients_are_kept_apart_and_old_ones_forgotten():
    log = Log()
    for number in range(100):
        log.inbox.receive(Batch(f"client-{number}", (Numbered(1, goto(0)),), False))
    assert log.taken == [1] * 100
    assert len(log.inbox.acked) <= 32


def test_an_edit_and_its_acknowledgement_come_in_one_message(annotator, monkeypatch):
    ann = annotator()
    browser = Browser(ann)
    sent = []
    monkeypatch.setattr(browser.layer, "send_state", lambda names: sent.append(set(names)))
    browser.edit(box("0.png", "a"))
    (names,) = sent
    assert {"acked", "view"} < names
    assert any(name.startswith("slot_") for name in names)
    assert browser.acked == 1
    assert ann.history["seconds"].tolist() == [1.5]
