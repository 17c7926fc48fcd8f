import assert from "node:assert/strict";
import { test } from "node:test";
import { idleCollector } from "../src/idle-collection.ts";

const MB = 1_000_000;

function fakeHeap() {
  const heap = { busy: 0, young: 1 * MB, old: 40 * MB, oldAfter: 42 * MB };
  const collections: string[] = [];
  const look = idleCollector({
    utilization: () => heap.busy,
    used: () => ({ young: heap.young, old: heap.old }),
    collectYoung() {
      collections.push("young");
      heap.young = 0;
    },
    collectOld() {
      collections.push("old");
      heap.old = heap.oldAfter;
    },
  });
  const looks = (count: number): void => {
    for (let index = 0; index < count; index += 1) look();
  };
  return { heap, looks, collections };
}

test("a quiet process with little garbage is left alone", () => {
  const { looks, collections } = fakeHeap();
  looks(100);
  assert.deepEqual(collections, []);
});

test("what a crowd's connections left is collected in the first idle moment", () => {
  const { heap, looks, collections } = fakeHeap();
  heap.young = 60 * MB;
  looks(3);
  assert.deepEqual(collections, ["young"]);
});

test("nothing is collected while the event loop is busy", () => {
  const { heap, looks, collections } = fakeHeap();
  heap.young = 120 * MB;
  heap.old = 300 * MB;
  heap.busy = 0.6;
  looks(100);
  assert.deepEqual(collections, []);
});

test("the old generation is collected once, after half a second without work", () => {
  const { heap, looks, collections } = fakeHeap();
  heap.old = 140 * MB;
  looks(9);
  assert.deepEqual(collections, []);
  looks(50);
  assert.deepEqual(collections, ["old"]);
});

test("one busy moment starts the wait for an old collection anew", () => {
  const { heap, looks, collections } = fakeHeap();
  heap.old = 140 * MB;
  looks(9);
  heap.busy = 0.9;
  looks(1);
  heap.busy = 0;
  looks(9);
  assert.deepEqual(collections, []);
  looks(1);
  assert.deepEqual(collections, ["old"]);
});

test("an old generation that stays large by itself is not collected again and again", () => {
  const { heap, looks, collections } = fakeHeap();
  heap.old = 140 * MB;
  heap.oldAfter = 130 * MB;
  looks(200);
  assert.deepEqual(collections, ["old"]);
});
