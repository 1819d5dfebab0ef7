//! `qsort` and `bsearch`.

use core::ffi::{c_int, c_void};
use core::ptr;

type Compare = unsafe extern "C" fn(*const c_void, *const c_void) -> c_int;

/// `qsort(3)`: a heap sort, so that no order of elements is slow and no memory is needed.
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
unsafe extern "C" fn qsort(list: *mut c_void, count: usize, size: usize, compare: Compare) {
    if list.is_null() || size == 0 {
        return;
    }
    let list: *mut u8 = list.cast();
    // SAFETY: the C program says that there are `count` elements of `size` bytes, and what compares them.
    let element = |index: usize| unsafe { list.add(index * size) };
    // SAFETY: as above.
    let less = |a: usize, b: usize| unsafe { compare(element(a).cast(), element(b).cast()) < 0 };
    let swap = |a: usize, b: usize| {
        if a != b {
            // SAFETY: two elements that do not overlap.
            unsafe { ptr::swap_nonoverlapping(element(a), element(b), size) };
        }
    };
    let sift = |mut parent: usize, end: usize| {
        loop {
            let left = 2 * parent + 1;
            if left >= end {
                return;
            }
            let child = if left + 1 < end && less(left, left + 1) { left + 1 } else { left };
            if !less(parent, child) {
                return;
            }
            swap(parent, child);
            parent = child;
        }
    };
    for parent in (0..count / 2).rev() {
        sift(parent, count);
    }
    for end in (1..count).rev() {
        swap(0, end);
        sift(0, end);
    }
}

/// `bsearch(3)`.
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
unsafe extern "C" fn bsearch(
    key: *const c_void,
    list: *const c_void,
    count: usize,
    size: usize,
    compare: Compare,
) -> *mut c_void {
    let (mut low, mut high) = (0, if list.is_null() { 0 } else { count });
    while low < high {
        let middle = low + (high - low) / 2;
        // SAFETY: the C program says that there are `count` elements of `size` bytes, and what compares them.
        let (element, order) = unsafe {
            let element = list.cast::<u8>().add(middle * size).cast::<c_void>();
            (element, compare(key, element))
        };
        match order {
            0 => return element.cast_mut(),
            ..0 => high = middle,
            _ => low = middle + 1,
        }
    }
    ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    unsafe extern "C" fn by_first_byte(a: *const c_void, b: *const c_void) -> c_int {
        // SAFETY: the tests sort elements of at least one byte.
        unsafe { c_int::from(*a.cast::<u8>()) - c_int::from(*b.cast::<u8>()) }
    }

    proptest! {
        #[test]
        fn it_sorts_and_finds(mut list in prop::collection::vec(any::<[u8; 3]>(), 0..50), key: u8) {
            let mut sorted: Vec<[u8; 3]> = list.clone();
            // SAFETY: the list's own elements.
            let found = unsafe {
                qsort(list.as_mut_ptr().cast(), list.len(), 3, by_first_byte);
                bsearch((&raw const key).cast(), list.as_ptr().cast(), list.len(), 3, by_first_byte)
            };
            prop_assert!(list.is_sorted_by_key(|element| element[0]));
            prop_assert_eq!(found.is_null(), !list.iter().any(|element| element[0] == key));
            list.sort();
            sorted.sort();
            prop_assert_eq!(list, sorted);
        }
    }
}
