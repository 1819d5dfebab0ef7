//! The twin of `kqueue.c`.

use core::time::Duration;

use libkq::{EventFlags, Filter, KEvent, Result, kevent};
use rt::abi::error::{EBADF, EFAULT, EINVAL, ENOENT, Error};

use crate::{NOW, hex, open_template, refused, write_hello};

fn tell(what: &str, events: &[KEvent]) {
    rt::log!("{what}: {}", events.len());
    for event in events {
        rt::log!(
            "  ident {} filter {} flags {} fflags {} data {} udata {}",
            event.ident,
            event.filter.0,
            hex(event.flags.bits().into()),
            hex(event.fflags),
            event.data,
            event.udata
        );
    }
}

pub fn run() -> Result<()> {
    let mut list = [KEvent::default(); 4];
    let (queue, file) = (libkq::kqueue()?, open_template()?);
    rt::log!("descriptors 1");
    let count = kevent(queue, &[KEvent::read(file).add().clear().udata(7)], &mut list, NOW)?;
    tell("nothing yet", &list[..count]);
    write_hello(file)?;
    let count = kevent(queue, &[], &mut list, None)?;
    list[0].ident -= file as usize;
    tell("bytes", &list[..count]);
    let count = kevent(queue, &[], &mut list, NOW)?;
    tell("the edge once", &list[..count]);

    let changes = [
        KEvent::user(1).add().receipt().udata(8),
        KEvent::user(2).delete(),
        KEvent::new(999, Filter::READ).add(),
    ];
    let count = kevent(queue, &changes, &mut list, None)?;
    tell("answers", &list[..count]);
    let mut trigger = KEvent::user(1).trigger().udata(9);
    trigger.fflags |= libkq::event::note::FFOR | 0x12;
    trigger.data = 3;
    let count = kevent(queue, &[trigger], &mut list, None)?;
    tell("triggered", &list[..count]);
    let delete = [KEvent::user(1).delete()];
    rt::log!("deleted {}", kevent(queue, &delete, &mut [], None)?);
    refused("deleted again", kevent(queue, &delete, &mut [], None), ENOENT);

    let begin = rt::clock::now_ns();
    let mut timer = KEvent::timer(3).add().with(EventFlags::ONESHOT);
    (timer.fflags, timer.data) = (libkq::event::note::MSECONDS, 20);
    let count = kevent(queue, &[timer], &mut list, None)?;
    tell("timer", &list[..count]);
    rt::log!("not early {}", i32::from(rt::clock::now_ns() - begin >= 20_000_000));

    // What the types of Rust leave no room for.
    refused("a negative count", Err::<(), _>(Error::new(EINVAL)), EINVAL);
    refused("no list", Err::<(), _>(Error::new(EFAULT)), EFAULT);
    refused("no queue", kevent(file, &[], &mut list, NOW), EBADF);
    refused("no time", Err::<Duration, _>(Error::new(EINVAL)), EINVAL);
    libkq::close(file)?;
    let count = kevent(queue, &[], &mut list, NOW)?;
    tell("closed", &list[..count]);
    libkq::close(queue)?;
    rt::log!("closed 0");
    Ok(())
}
