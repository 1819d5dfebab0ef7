//! Memory objects and maps.

use abi::Rights;
use abi::error::{EEXIST, EFAULT, EINVAL, ENOMEM, EPERM};
use abi::flag::MapFlags;
use abi::memory::{PAGE, USER_END, USER_FIRST};
use abi::number::{SYS_MEMORY_ADDRESS, SYS_MEMORY_CREATE, SYS_MEMORY_MAP, SYS_MEMORY_UNMAP};
use guest_tests::failure::{ensure, equal, refused, refused_with};
use guest_tests::mini::{fill, peek};
use guest_tests::{Outcome, raw};
use rt::sys::{Memory, Object};

use crate::Test;

pub const TESTS: &[Test] = &[
    ("memory_is_born_zeroed", memory_is_born_zeroed),
    ("two_maps_show_the_same_memory", two_maps_show_the_same_memory),
    ("a_map_outlives_its_handle", a_map_outlives_its_handle),
    ("a_bad_size_or_flag_is_einval", a_bad_size_or_flag_is_einval),
    ("too_much_memory_is_enomem", too_much_memory_is_enomem),
    ("writable_and_executable_is_einval", writable_and_executable_is_einval),
    ("a_bad_range_is_einval", a_bad_range_is_einval),
    ("an_occupied_range_is_eexist", an_occupied_range_is_eexist),
    ("a_map_goes_where_it_is_asked_to", a_map_goes_where_it_is_asked_to),
    ("unmap_takes_exactly_what_was_mapped", unmap_takes_exactly_what_was_mapped),
    ("the_kernel_does_not_read_what_is_unmapped", the_kernel_does_not_read_what_is_unmapped),
    ("contiguous_memory_has_following_addresses", contiguous_memory_has_following_addresses),
    ("the_hint_page_stays", the_hint_page_stays),
];

/// The last page of all.
const LAST_PAGE: u64 = !(PAGE - 1);
/// A free place in the address space.
const FREE: u64 = 0x0700_0000_0000;
const READ: u64 = MapFlags::PROT_READ.bits() as u64;
const WRITE: u64 = MapFlags::PROT_WRITE.bits() as u64;
const EXECUTE: u64 = MapFlags::PROT_EXEC.bits() as u64;

fn map(memory: &Memory, address: u64, offset: u64, length: u64, protection: u64) -> abi::error::Result<u64> {
    raw(SYS_MEMORY_MAP, [0, memory.handle().0, address, offset, length, protection])
}

fn unmap(address: u64, length: u64) -> abi::error::Result<u64> {
    raw(SYS_MEMORY_UNMAP, [0, address, length, 0, 0, 0])
}

fn memory_is_born_zeroed() -> Outcome {
    // What another one has left behind must not show.
    for _ in 0..3 {
        let memory = Memory::create(16 * PAGE as usize)?;
        let mut bytes = alloc::vec![1; 16 * PAGE as usize];
        peek(&memory, &mut bytes)?;
        ensure(bytes.iter().all(|&byte| byte == 0), "fresh memory is zero")?;
        fill(&memory, &alloc::vec![0xa5; bytes.len()])?;
    }
    Ok(())
}

fn two_maps_show_the_same_memory() -> Outcome {
    let memory = Memory::create(2 * PAGE as usize)?;
    let mut bytes = alloc::vec![0; 2 * PAGE as usize];
    bytes[PAGE as usize] = 7;
    fill(&memory, &bytes)?;
    let second = memory.map(PAGE as usize, PAGE as usize, MapFlags::PROT_READ)?;
    let all = memory.map_all(MapFlags::PROT_READ)?;
    let mut seen = [0; 1];
    peek(&memory, &mut seen)?;
    equal(seen[0], 0)?;
    equal((second.length(), all.length()), (PAGE as usize, 2 * PAGE as usize))?;
    let copy = memory.duplicate()?;
    let mut read = alloc::vec![0; 2 * PAGE as usize];
    peek(&copy, &mut read)?;
    equal(read, bytes)
}

fn a_map_outlives_its_handle() -> Outcome {
    let memory = Memory::create(PAGE as usize)?;
    let address = map(&memory, FREE, 0, PAGE, READ | WRITE)?;
    drop(memory);
    // The kernel can still write there, and read what it wrote.
    raw(abi::number::SYS_COUNTERS, [address, 0, 0, 0, 0, 0])?;
    unmap(address, PAGE)?;
    refused(raw(abi::number::SYS_COUNTERS, [address, 0, 0, 0, 0, 0]), EFAULT)
}

fn a_bad_size_or_flag_is_einval() -> Outcome {
    for size in [0, 1, PAGE - 1, PAGE + 1] {
        refused(raw(SYS_MEMORY_CREATE, [size, 0, 0, 0, 0, 0]), EINVAL)?;
    }
    for flags in [2, 4, 1 << 63, u64::MAX] {
        refused(raw(SYS_MEMORY_CREATE, [PAGE, flags, 0, 0, 0, 0]), EINVAL)?;
    }
    Ok(())
}

fn too_much_memory_is_enomem() -> Outcome {
    for size in [1 << 40, 1 << 52, LAST_PAGE] {
        refused_with(raw(SYS_MEMORY_CREATE, [size, 0, 0, 0, 0, 0]), &[ENOMEM, EINVAL])?;
        refused_with(raw(SYS_MEMORY_CREATE, [size, 1, 0, 0, 0, 0]), &[ENOMEM, EINVAL])?;
    }
    Ok(())
}

fn writable_and_executable_is_einval() -> Outcome {
    let memory = Memory::create(PAGE as usize)?;
    for protection in [WRITE | EXECUTE, READ | WRITE | EXECUTE] {
        refused(map(&memory, 0, 0, PAGE, protection), EINVAL)?;
    }
    for protection in [1, 1 << 40, u64::MAX] {
        refused(map(&memory, 0, 0, PAGE, protection), EINVAL)?;
    }
    Ok(())
}

fn a_bad_range_is_einval() -> Outcome {
    let memory = Memory::create(4 * PAGE as usize)?;
    let bad = [
        (FREE, 0, 0),
        (FREE, 0, 1),
        (FREE, 0, PAGE + 1),
        (FREE + 1, 0, PAGE),
        (FREE + 8, 0, PAGE),
        (FREE, 1, PAGE),
        (FREE, 0, 5 * PAGE),
        (FREE, PAGE, 4 * PAGE),
        (FREE, 4 * PAGE, PAGE),
        (FREE, LAST_PAGE, PAGE),
        (FREE, PAGE, LAST_PAGE),
        (USER_FIRST - PAGE, 0, PAGE),
        (PAGE, 0, PAGE),
        (USER_END, 0, PAGE),
        (USER_END - PAGE, 0, 2 * PAGE),
        (0x8000_0000_0000, 0, PAGE),
        (0xffff_8000_0000_0000, 0, PAGE),
        (LAST_PAGE, 0, PAGE),
        (LAST_PAGE, 0, 2 * PAGE),
    ];
    for (address, offset, length) in bad {
        refused(map(&memory, address, offset, length, READ), EINVAL)?;
    }
    // The last page of all is a good one.
    let last = map(&memory, USER_END - PAGE, 0, PAGE, READ)?;
    equal(last, USER_END - PAGE)?;
    unmap(last, PAGE)?;
    let first = map(&memory, USER_FIRST, 0, PAGE, READ)?;
    equal(first, USER_FIRST)?;
    unmap(first, PAGE)?;
    Ok(())
}

fn an_occupied_range_is_eexist() -> Outcome {
    let memory = Memory::create(4 * PAGE as usize)?;
    map(&memory, FREE + 4 * PAGE, 0, 2 * PAGE, READ)?;
    for (address, length) in [
        (FREE + 4 * PAGE, 2 * PAGE),
        (FREE + 4 * PAGE, PAGE),
        (FREE + 5 * PAGE, PAGE),
        (FREE + 5 * PAGE, 3 * PAGE),
        (FREE + 2 * PAGE, 3 * PAGE),
        (FREE + 3 * PAGE, 4 * PAGE),
    ] {
        refused(map(&memory, address, 0, length, READ), EEXIST)?;
    }
    // Next to it is free.
    map(&memory, FREE + 6 * PAGE, 0, PAGE, READ)?;
    map(&memory, FREE + 3 * PAGE, 0, PAGE, READ)?;
    for (page, pages) in [(4, 2), (6, 1), (3, 1)] {
        unmap(FREE + page * PAGE, pages * PAGE)?;
    }
    // The program itself is somewhere, too.
    let here = an_occupied_range_is_eexist as fn() -> Outcome as usize as u64 & !(PAGE - 1);
    refused(map(&memory, here, 0, PAGE, READ), EEXIST)
}

fn a_map_goes_where_it_is_asked_to() -> Outcome {
    let memory = Memory::create(PAGE as usize)?;
    equal(map(&memory, FREE, 0, PAGE, READ)?, FREE)?;
    unmap(FREE, PAGE)?;
    let placed = map(&memory, 0, 0, PAGE, READ)?;
    ensure((USER_FIRST..USER_END).contains(&placed) && placed % PAGE == 0, "a place in user space")?;
    unmap(placed, PAGE)?;
    Ok(())
}

fn unmap_takes_exactly_what_was_mapped() -> Outcome {
    let memory = Memory::create(4 * PAGE as usize)?;
    map(&memory, FREE, 0, 3 * PAGE, READ)?;
    for (address, length) in [
        (FREE, PAGE),
        (FREE, 4 * PAGE),
        (FREE + PAGE, 2 * PAGE),
        (FREE - PAGE, 4 * PAGE),
        (FREE, 0),
        (FREE + 1, PAGE),
        (0, PAGE),
        (USER_END, PAGE),
        (LAST_PAGE, PAGE),
        (0xffff_ffff_8000_0000, PAGE),
    ] {
        refused(unmap(address, length), EINVAL)?;
    }
    unmap(FREE, 3 * PAGE)?;
    refused(unmap(FREE, 3 * PAGE), EINVAL)
}

fn the_kernel_does_not_read_what_is_unmapped() -> Outcome {
    let memory = Memory::create(2 * PAGE as usize)?;
    map(&memory, FREE, 0, PAGE, READ)?;
    // A line that begins in the mapped page and ends beyond it.
    refused(raw(abi::number::SYS_LOG, [FREE + PAGE - 4, 8, 0, 0, 0, 0]), EFAULT)?;
    unmap(FREE, PAGE)?;
    refused(raw(abi::number::SYS_LOG, [FREE, 8, 0, 0, 0, 0]), EFAULT)
}

fn contiguous_memory_has_following_addresses() -> Outcome {
    let memory = Memory::create_contiguous(8 * PAGE as usize)?;
    let first = memory.physical(0)?;
    equal(first % PAGE, 0)?;
    for page in 0..8 {
        equal(memory.physical(page * PAGE as usize)?, first + page as u64 * PAGE)?;
    }
    equal(memory.physical(5)?, first + 5).or_else(|_| refused(memory.physical(5), EINVAL))?;
    refused(memory.physical(8 * PAGE as usize), EINVAL)?;
    refused(memory.physical(usize::MAX), EINVAL)?;
    refused(memory.restricted(Rights::all() - Rights::PHYSICAL)?.physical(0), EPERM)?;
    let ordinary = Memory::create(PAGE as usize)?;
    refused_with(raw(SYS_MEMORY_ADDRESS, [ordinary.handle().0, 0, 0, 0, 0, 0]), &[EINVAL, EPERM])
}

fn the_hint_page_stays() -> Outcome {
    refused(unmap(abi::hints::HINTS_ADDRESS, PAGE), EINVAL)?;
    let memory = Memory::create(PAGE as usize)?;
    refused(map(&memory, abi::hints::HINTS_ADDRESS, 0, PAGE, READ | WRITE), EEXIST)
}
