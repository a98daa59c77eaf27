//! The process's allocator: jemalloc, with the small blocks that a lane has freed at hand for the lane's next ones.
//!
//! Owns who allocates. A request takes and frees some twenty small blocks, most of them Lua's; each costs jemalloc a call and its books, which together
//! were a tenth of the instructions of a request. On a thread that asks for it ([`keep_at_hand`]) blocks of a size lie in a list of the thread's own: to
//! take or to free one is two loads and two stores. Half the memory of glibc's allocator for many small users is jemalloc's own merit.
//!
//! Invariant: a block of up to [`SIZE_MAX`] bytes is always asked of jemalloc, and given back to it, with the size of its shelf, so that any thread can
//! free it, whether it keeps blocks or not.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;

use tikv_jemallocator::Jemalloc;

/// To be the program's global allocator.
#[derive(Debug)]
pub struct Allocator;

/// A free block; its first word is the next one of its list.
type Block = *mut u8;

/// Free blocks of one size.
struct Shelf {
    first: Cell<Block>,
    /// How many more there is room for; 0 on threads that keep none.
    room: Cell<usize>,
}

thread_local! {
    // Without a destructor, so that a look is one address; who keeps blocks gives them back (`AtHand`).
    static SHELVES: [Shelf; SHELF_COUNT] = const { [const { Shelf { first: Cell::new(ptr::null_mut()), room: Cell::new(0) } }; SHELF_COUNT] };
}

/// As long as it lives, the thread keeps small blocks at hand that it frees; then jemalloc has them again.
#[derive(Debug)]
pub struct AtHand(PhantomData<*const ()>);

/// The calling thread keeps small blocks at hand from here on: at most [`SHELF_BYTES`] of each of some forty sizes.
#[must_use]
pub fn keep_at_hand() -> AtHand {
    SHELVES.with(|shelves| {
        for (place, shelf) in shelves.iter().enumerate() {
            shelf.room.set(SHELF_BYTES / size_of_shelf(place));
        }
    });
    AtHand(PhantomData)
}

impl Drop for AtHand {
    fn drop(&mut self) {
        SHELVES.with(|shelves| {
            for (place, shelf) in shelves.iter().enumerate() {
                shelf.room.set(0);
                while let Some(block) = take(shelf) {
                    shelf.room.set(0);
                    // SAFETY: blocks of this shelf came from jemalloc with this layout, and nobody else has them.
                    unsafe { Jemalloc.dealloc(block, layout_of(place)) };
                }
            }
        });
    }
}

#[inline]
fn take(shelf: &Shelf) -> Option<Block> {
    let block = shelf.first.get();
    if block.is_null() {
        return None;
    }
    // SAFETY: a block in the list is free and of at least a word, which `put` has written.
    shelf.first.set(unsafe { *block.cast::<Block>() });
    shelf.room.set(shelf.room.get() + 1);
    Some(block)
}

/// Whether there was room for it.
#[inline]
fn put(shelf: &Shelf, block: Block) -> bool {
    let Some(room) = shelf.room.get().checked_sub(1) else { return false };
    shelf.room.set(room);
    // SAFETY: whoever frees a block gives it up whole; it has at least a word, and the alignment of one.
    unsafe { *block.cast::<Block>() = shelf.first.get() };
    shelf.first.set(block);
    true
}

/// Which shelf has blocks for this; `None` where jemalloc alone has.
#[inline]
const fn place_of(layout: Layout) -> Option<usize> {
    let size = layout.size();
    // No block of size 0 is ever asked for.
    if size == 0 || layout.align() > STEP {
        None
    } else if size <= SMALL_MAX {
        Some((size - 1) / STEP)
    } else if size <= SIZE_MAX {
        Some(SMALL_SHELVES + (size - SMALL_MAX - 1) / WIDE_STEP)
    } else {
        None
    }
}

/// Bytes of each block on a shelf.
const fn size_of_shelf(place: usize) -> usize {
    if place < SMALL_SHELVES { (place + 1) * STEP } else { SMALL_MAX + (place - SMALL_SHELVES + 1) * WIDE_STEP }
}

/// How jemalloc knows the blocks of a shelf.
const fn layout_of(place: usize) -> Layout {
    // SAFETY: neither is 0, the alignment is a power of two, and the size is far below the most.
    unsafe { Layout::from_size_align_unchecked(size_of_shelf(place), STEP) }
}

// SAFETY: a block is jemalloc's of at least the size and the alignment that was asked for, and nobody else's: it is on no shelf while it is taken, and a
// shelf is its thread's own. No code here allocates, panics or unwinds.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(place) = place_of(layout) else {
            // SAFETY: the caller's own promise.
            return unsafe { Jemalloc.alloc(layout) };
        };
        match SHELVES.with(|shelves| take(&shelves[place])) {
            Some(block) => block,
            // SAFETY: the size is not 0.
            None => unsafe { Jemalloc.alloc(layout_of(place)) },
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match place_of(layout) {
            // SAFETY: the size is not 0.
            Some(place) => unsafe { Jemalloc.alloc_zeroed(layout_of(place)) },
            // SAFETY: the caller's own promise.
            None => unsafe { Jemalloc.alloc_zeroed(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match place_of(layout) {
            Some(place) if SHELVES.with(|shelves| put(&shelves[place], block)) => {}
            // SAFETY: by the invariant it was asked for with this layout.
            Some(place) => unsafe { Jemalloc.dealloc(block, layout_of(place)) },
            // SAFETY: the caller's own promise.
            None => unsafe { Jemalloc.dealloc(block, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size, rounded up to the alignment, is no more than a layout may have.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (place_of(layout), place_of(new_layout)) {
            (Some(place), Some(new_place)) if place == new_place => block,
            // SAFETY: the caller's own promise.
            (None, None) => unsafe { Jemalloc.realloc(block, layout, new_size) },
            // SAFETY: both blocks have room for what is copied; the old one is freed as it was asked for.
            _ => unsafe {
                let new_block = self.alloc(new_layout);
                if !new_block.is_null() {
                    ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size));
                    self.dealloc(block, layout);
                }
                new_block
            },
        }
    }
}

/// Sizes are rounded up to this many bytes, which is the largest alignment of a block on a shelf too.
const STEP: usize = 16;

/// Larger sizes are rounded up to [`WIDE_STEP`].
const SMALL_MAX: usize = 512;

const WIDE_STEP: usize = 128;

/// Larger blocks are jemalloc's alone. What a request takes while it is under way is not.
const SIZE_MAX: usize = 2_048;

const SMALL_SHELVES: usize = SMALL_MAX / STEP;

const SHELF_COUNT: usize = SMALL_SHELVES + (SIZE_MAX - SMALL_MAX) / WIDE_STEP;

/// Bytes of free blocks of one size that a thread keeps: what Lua's collector frees in one go of a lane's few hundred users.
const SHELF_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// All bytes of a block are `byte`.
    fn is_full_of(byte: u8, block: usize, size: usize) -> bool {
        // SAFETY: the test has taken a block of this size there, and filled it.
        unsafe { std::slice::from_raw_parts(block as *const u8, size) }.iter().all(|found| *found == byte)
    }

    fn fill(block: usize, byte: u8, size: usize) {
        // SAFETY: the test has taken a block of this size there.
        unsafe { ptr::write_bytes(block as *mut u8, byte, size) };
    }

    proptest! {
        /// What each owner writes stays as it is, whoever takes, frees or grows blocks beside it, on a thread that keeps blocks and on one that does not.
        #[test]
        fn blocks_are_their_owners_alone(
            keeps in any::<bool>(),
            steps in proptest::collection::vec((0_usize..40, 1_usize..3_000, 0_u32..6, any::<bool>()), 1..400),
        ) {
            let kept = keeps.then(keep_at_hand);
            let mut owned: BTreeMap<usize, (usize, Layout, u8)> = BTreeMap::new();
            for (turn, (owner, size, align, grows)) in steps.into_iter().enumerate() {
                let byte = turn as u8;
                match owned.remove(&owner) {
                    None => {
                        let layout = layout(size, 1 << align);
                        // SAFETY: no size is 0.
                        let block = unsafe { if grows { Allocator.alloc_zeroed(layout) } else { Allocator.alloc(layout) } } as usize;
                        prop_assert!(block != 0 && block.is_multiple_of(1 << align));
                        prop_assert!(!grows || is_full_of(0, block, size));
                        fill(block, byte, size);
                        owned.insert(owner, (block, layout, byte));
                    }
                    Some((block, layout, byte)) if grows => {
                        // SAFETY: the block was taken with this layout.
                        let grown = unsafe { Allocator.realloc(block as *mut u8, layout, size) } as usize;
                        prop_assert!(is_full_of(byte, grown, layout.size().min(size)));
                        fill(grown, byte, size);
                        owned.insert(owner, (grown, self::layout(size, layout.align()), byte));
                    }
                    Some((block, layout, byte)) => {
                        prop_assert!(is_full_of(byte, block, layout.size()));
                        // SAFETY: the block was taken with this layout.
                        unsafe { Allocator.dealloc(block as *mut u8, layout) };
                    }
                }
            }
            for (block, layout, byte) in owned.into_values() {
                prop_assert!(is_full_of(byte, block, layout.size()));
                // SAFETY: the block was taken with this layout.
                unsafe { Allocator.dealloc(block as *mut u8, layout) };
            }
            drop(kept);
            prop_assert!(SHELVES.with(|shelves| shelves.iter().all(|shelf| shelf.first.get().is_null() && shelf.room.get() == 0)));
        }
    }

    #[test]
    fn the_shelf_of_a_size_has_room_for_it_and_is_the_smallest_that_has() {
        for size in 1..=SIZE_MAX {
            let place = place_of(layout(size, 16)).unwrap();
            assert!(size <= size_of_shelf(place) && (place == 0 || size > size_of_shelf(place - 1)), "{size} is on shelf {place}");
        }
        assert_eq!(place_of(layout(SIZE_MAX, 16)), Some(SHELF_COUNT - 1));
        assert_eq!((place_of(layout(SIZE_MAX + 1, 16)), place_of(layout(8, 32)), place_of(layout(0, 1))), (None, None, None));
    }

    #[test]
    fn a_block_that_a_lane_frees_is_the_next_one_that_it_takes_and_no_more_are_kept_than_there_is_room_for() {
        let kept = keep_at_hand();
        let layout = layout(40, 8);
        // SAFETY: each block is freed once, with the layout that it was taken with.
        unsafe {
            let first = Allocator.alloc(layout);
            Allocator.dealloc(first, layout);
            assert_eq!(Allocator.alloc(self::layout(33, 16)), first);
            Allocator.dealloc(first, layout);
            let many: Vec<_> = (0..SHELF_BYTES / 48 + 1_000).map(|_| Allocator.alloc(layout)).collect();
            many.into_iter().for_each(|block| Allocator.dealloc(block, layout));
        }
        SHELVES.with(|shelves| assert_eq!(shelves[2].room.get(), 0));
        drop(kept);
        SHELVES.with(|shelves| assert!(shelves[2].first.get().is_null()));
    }

    #[test]
    fn a_block_of_a_lane_can_be_freed_elsewhere_and_the_other_way_round() {
        let layout = layout(100, 16);
        // SAFETY: each block is freed once, with the layout that it was taken with.
        unsafe {
            let foreign = Allocator.alloc(layout) as usize;
            let of_lane = std::thread::spawn(move || {
                let _kept = keep_at_hand();
                Allocator.dealloc(foreign as *mut u8, layout);
                Allocator.alloc(layout) as usize
            });
            let of_lane = of_lane.join().unwrap();
            fill(of_lane, 7, 100);
            assert!(is_full_of(7, of_lane, 100));
            Allocator.dealloc(of_lane as *mut u8, layout);
        }
    }
}
