"""Work handed out to several: no image twice, none forgotten, and back when someone is gone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from nbannotate.core.assignment import label_fields, verdict_id
from nbannotate.core.edits import Edit
from nbannotate.errors import StoreError
from nbannotate.store import open_store, tables

IMAGES = [f"{number:03}.jpg" for number in range(30)]


def share(store, overlap=1, images=IMAGES):
    store.assign("shared", overlap=overlap)
    store.leases("setup").offer(images)


def finish(store, leases, annotator, image, status="done"):
    """Say that an image is finished, as a project of this assignment does."""
    if store.assignment.is_blind:
        state = {"status": status, "note": None, "unsure": False}
        now = store.now()
        row = {
            "label_id": verdict_id(image, annotator),
            "image": image,
            "kind": "verdict",
            "attributes": {},
            "source": "human",
            "annotator": annotator,
            "created": now,
            **label_fields(state),
        }
        edit = Edit("create", image, row["label_id"], after=row)
    else:
        edit = Edit("image", image, before={"status": "todo"}, after={"status": status})
    return store.apply([edit], annotator=annotator, leases=leases)


def test_images_are_given_in_their_order_each_to_one(store):
    share(store)

    assert store.leases("ana").take(3) == IMAGES[:3]
    assert store.leases("ben").take(3) == IMAGES[3:6]
    assert store.leases("ana").held() == IMAGES[:3]


def test_one_who_asks_again_gets_the_next(store):
    share(store)
    ana = store.leases("ana")
    ana.take(2)

    assert ana.take(2) == IMAGES[2:4]
    assert ana.held() == IMAGES[:4]


def test_only_what_is_wanted_is_given(store):
    share(store)

    assert store.leases("ana").take(2, lambda image: image >= "020.jpg") == IMAGES[20:22]


def test_where_nothing_is_left_nothing_is_given(store):
    share(store, images=IMAGES[:2])
    store.leases("ana").take(2)

    assert store.leases("ben").take(2) == []
    assert store.leases("ana").take(2) == []


def test_images_that_come_later_are_put_at_the_end(store):
    share(store, images=IMAGES[5:])
    store.leases("ana").offer(IMAGES)

    assert store.leases("ana").take(100) == IMAGES[5:] + IMAGES[:5]


def test_an_image_with_overlap_goes_to_as_many_and_never_twice_to_one(store):
    share(store, overlap=2, images=IMAGES[:1])

    assert store.leases("ana").take(1) == IMAGES[:1]
    assert store.leases("ana").take(1) == []
    assert store.leases("ben").take(1) == IMAGES[:1]
    assert store.leases("cem").take(1) == []


@pytest.mark.parametrize("overlap", [1, 2])
def test_what_is_done_is_given_to_nobody_more(store, overlap):
    share(store, overlap=overlap, images=IMAGES[:1])
    for annotator in ("ana", "ben")[:overlap]:
        leases = store.leases(annotator)
        [image] = leases.take(1)
        finish(store, leases, annotator, image)
        assert leases.held() == []

    for annotator in ("ana", "ben", "cem"):
        assert store.leases(annotator).take(1) == []


def test_an_image_that_someone_skipped_goes_to_others_but_not_to_them(store):
    share(store, overlap=2, images=IMAGES[:1])
    ana = store.leases("ana")
    ana.take(1)
    finish(store, ana, "ana", IMAGES[0], "skipped")

    assert ana.take(1) == []
    assert store.leases("ben").take(1) == store.leases("cem").take(1) == IMAGES[:1]


def test_what_was_done_before_it_was_shared_is_not_given(store):
    edit = Edit("image", IMAGES[0], before={"status": "todo"}, after={"status": "done"})
    store.apply([edit], annotator="ana")
    share(store)

    assert store.leases("ben").take(1) == [IMAGES[1]]


def test_a_lease_that_runs_out_goes_to_others(store):
    share(store, images=IMAGES[:1])
    gone = store.leases("ana", seconds=0)
    gone.take(1)

    assert gone.held() == []
    assert store.leases("ben").take(1) == IMAGES[:1]


def test_a_lease_is_renewed_by_work_and_on_demand(store):
    share(store, images=IMAGES[:2])
    short, long = store.leases("ana", seconds=0), store.leases("ana", seconds=1000)
    short.take(1)
    assert long.held() == []
    edit = Edit("image", IMAGES[0], before={"note": None}, after={"note": "hm"})
    store.apply([edit], annotator="ana", leases=long)  # although it had run out

    assert long.held() == IMAGES[:1]

    short.renew()
    assert long.held() == []


def test_an_image_that_is_to_do_again_is_in_hand_again(store):
    share(store, images=IMAGES[:1])
    ana = store.leases("ana")
    ana.take(1)
    finish(store, ana, "ana", IMAGES[0])
    edit = Edit("image", IMAGES[0], before={"status": "done"}, after={"status": "todo"})
    store.apply([edit], annotator="ana", leases=ana)

    assert ana.held() == IMAGES[:1]
    assert store.leases("ben").take(1) == []


def test_what_is_given_back_goes_to_others(store):
    share(store, images=IMAGES[:2])
    ana = store.leases("ana")
    ana.take(2)
    ana.release()

    assert store.leases("ben").take(2) == IMAGES[:2]


def test_a_store_that_is_not_shared_out_says_so(store):
    with pytest.raises(StoreError, match=r"are not shared out; see store\.assign"):
        store.leases("ana")
    store.assign("all")
    with pytest.raises(StoreError, match=r"are not shared out"):
        store.leases("ana")


def test_leases_are_no_news_for_those_who_watch(store, address):
    share(store)
    heard = threading.Event()
    with open_store(address) as other:
        other.watch(heard.set)
        edit = Edit("image", IMAGES[0], before={"note": None}, after={"note": "hm"})
        store.leases("ana").take(5)
        last = store.last_batch()
        store.apply([edit], annotator="ana")

        assert heard.wait(10)  # of the edit
        assert store.last_batch() == last + 1


def test_what_others_only_look_at_is_waited_for(address, store):
    share(store, images=IMAGES[:1])
    locked, found = threading.Event(), threading.Event()

    def look():
        with open_store(address) as other, other._database.leasing() as connection:
            rows = sa.select(tables.queue).with_for_update()
            assert len(connection.execute(rows).all()) == 1
            locked.set()
            found.wait(0.3)

    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(look)
        assert locked.wait(10)
        images = store.leases("ana").take(1)
        found.set()
        ended.result()

    assert images == IMAGES[:1]


@pytest.mark.parametrize("overlap", [1, 3])
def test_many_who_take_at_once_get_each_image_as_often_as_it_is_wanted(address, store, overlap):
    share(store, overlap=overlap)
    people = [f"annotator {number}" for number in range(6)]

    def work(annotator):
        with open_store(address) as own:
            leases, found = own.leases(annotator), []
            while images := leases.take(2):
                found += images
            return found

    with ThreadPoolExecutor(len(people)) as threads:
        given = list(threads.map(work, people))

    assert sorted(image for images in given for image in images) == sorted(IMAGES * overlap)
    assert all(len(set(images)) == len(images) for images in given)
