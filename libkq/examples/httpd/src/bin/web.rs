//! The web server under load, and what it answers to all kinds of requests. Runs with the manifest `web`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod program {
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use guest_tests::failure::{Failure, ensure, equal};
    use guest_tests::{Outcome, Suite, a_moment, soon};
    use httpd::load::{Load, Tally, sum};
    use httpd::request::{EMPTY_LINES, LONGEST_BODY, LONGEST_HEAD};
    use httpd::site::FIRST_PAGE;
    use httpd::worker::CONNECTIONS;
    use libkq::flag::{O_CREAT, O_TRUNC, O_WRONLY};
    use libkq::process::SocketType;
    use libkq::process_calls::{Child, Command};
    use libkq::signal::{Action, SIGKILL, SIGPIPE, SIGTERM, sigaction};
    use libkq::{Descriptor, process, process_calls};
    use rt::abi::error::EAGAIN;
    use rt::clock;

    const ROOT: &str = "/tmp/www";
    const LOCAL: &str = "/run/socket/web";
    /// Quota of a server's parent.
    const QUOTA: u64 = 8 << 20;

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let mut suite = Suite::new(start);
        // A server may end a connection while it is written to.
        let _ = sigaction(SIGPIPE.into(), Some(Action::ignore()));
        suite.table(&[
            ("each_request_is_answered_and_counted_whoever_waits_how", each_is_answered),
            ("what_is_no_request_is_told_so", what_is_wrong_is_told),
            ("requests_in_one_piece_are_answered_in_turn", in_turn),
            ("a_file_that_changes_is_served_as_it_is", a_file_changes),
            ("a_directory_that_is_renamed_takes_its_files_along", a_directory_is_renamed),
            ("who_asks_and_does_not_read_costs_little_and_others_are_served_then", answers_unread),
            ("a_request_that_comes_byte_by_byte_is_not_waited_for", too_slow),
            ("who_kills_a_worker_ends_its_connections_and_no_others", a_worker_dies),
        ]);
        suite.finish()
    }

    /// A server on a port of its own and on the local socket.
    struct Server {
        child: Child,
        address: String,
    }

    impl Server {
        fn start(port: u16, arguments: &str) -> Outcome<Server> {
            let address = format!("127.0.0.1:{port}");
            let mut command = Command::new("bin/httpd").quota(QUOTA);
            for argument in ["--root", ROOT, "--listen", &address, "--listen", LOCAL] {
                command = command.argument(argument);
            }
            for argument in arguments.split_whitespace() {
                command = command.argument(argument);
            }
            let server = Server { child: command.spawn()?, address };
            let deadline = soon();
            while server.counters().is_err() {
                ensure(clock::now_ns() < deadline, "the server can be reached")?;
                a_moment();
            }
            Ok(server)
        }

        fn load(&self, requests: u64) -> Load {
            Load { address: self.address.clone(), requests, ..Load::default() }
        }

        /// What it answers to these bytes, until it ends the connection.
        fn say(&self, bytes: &[u8]) -> Outcome<String> {
            let socket = Descriptor::inet_socket(SocketType::Stream)?;
            process().connect(socket.number(), &self.address)?;
            socket.write_all(bytes)?;
            let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
            loop {
                match socket.read(&mut piece)? {
                    0 => return Ok(String::from_utf8_lossy(&answer).into_owned()),
                    count => answer.extend_from_slice(&piece[..count]),
                }
            }
        }

        fn get(&self, path: &str) -> Outcome<(String, String)> {
            let answer = self.say(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
            Ok((head.lines().next().unwrap_or("").to_string(), body.to_string()))
        }

        /// What it counts, by name.
        fn counters(&self) -> Outcome<BTreeMap<String, u64>> {
            let (_, text) = self.get("/counters")?;
            let pairs = text.lines().filter_map(|line| line.split_once(' '));
            Ok(pairs.filter_map(|(name, value)| Some((name.to_string(), value.parse().ok()?))).collect())
        }

        fn end(self) -> Outcome {
            self.child.kill(SIGTERM.into())?;
            ensure(self.child.wait()?.is_success(), "the server ends well")
        }
    }

    fn figure(counters: &BTreeMap<String, u64>, name: &str) -> u64 {
        counters.get(name).copied().unwrap_or(0)
    }

    /// All answered, and with the page that there is.
    fn all_well(tally: &Tally, requests: u64) -> Outcome {
        equal((tally.answered, tally.failures), (requests, 0))?;
        equal(tally.first.map(|first| first.sum), Some(sum(FIRST_PAGE)))?;
        equal(tally.bytes, requests * FIRST_PAGE.len() as u64)
    }

    fn each_is_answered() -> Outcome {
        for (at, arguments) in [
            "--workers 4",
            "--workers 4 --wake all",
            "--workers 4 --policy round-robin",
            "--workers 4 --epoll",
            "--workers 1 --threads 4",
            "--workers 2 --threads 2 --queue each",
            "--workers 1 --threads 3 --epoll --wake all",
        ]
        .into_iter()
        .enumerate()
        {
            let server = Server::start(8000 + at as u16, arguments)?;
            let before = figure(&server.counters()?, "all.requests");
            let load = server.load(60);
            let local = Load { address: LOCAL.into(), ..load.clone() };
            let kept = |load: &Load| Load { keep_alive: true, ..load.clone() };
            for load in [kept(&load), kept(&local), load, local] {
                all_well(&load.run()?, load.requests)?;
            }
            let counters = server.counters()?;
            // And that of the counters before.
            equal(figure(&counters, "all.requests") - before, 4 * 60 + 1)?;
            for what in ["accepted", "requests", "bytes", "wakes"] {
                let places = (0..4).map(|index| figure(&counters, &format!("worker.{index}.{what}")));
                equal(places.sum::<u64>(), figure(&counters, &format!("all.{what}")))?;
            }
            let cpus = (0..4).map(|cpu| figure(&counters, &format!("cpu.{cpu}.requests")));
            equal(cpus.sum::<u64>(), figure(&counters, "all.requests"))?;
            equal((figure(&counters, "all.errors"), figure(&counters, "all.failed")), (0, 0))?;
            server.end()?;
        }
        Ok(())
    }

    fn what_is_wrong_is_told() -> Outcome {
        let server = Server::start(8010, "--workers 2")?;
        let long = "a".repeat(LONGEST_HEAD);
        for (request, status) in [
            ("GET / HTTP/1.0\r\n\r\n", 200),
            ("HEAD / HTTP/1.0\r\n\r\n", 200),
            ("GET /none HTTP/1.0\r\n\r\n", 404),
            ("HEAD /../secret HTTP/1.0\r\n\r\n", 400),
            ("HEAD / HTTP/2.0\r\n\r\n", 505),
            (&"\r\n".repeat(EMPTY_LINES + 1), 400),
            ("GET /index.html/none HTTP/1.0\r\n\r\n", 404),
            ("GET /../../data/secret HTTP/1.0\r\n\r\n", 400),
            ("GET /%2e%2e/%2E%2E/data/secret HTTP/1.0\r\n\r\n", 400),
            ("GET /..%2fsecret HTTP/1.0\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("nonsense\r\n\r\n", 400),
            ("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", 405),
            (&format!("GET / HTTP/1.0\r\nContent-Length: {}\r\n\r\n", LONGEST_BODY + 1), 413),
            (&format!("GET / HTTP/1.0\r\nA: {long}\r\n\r\n"), 431),
            (&format!("GET /{long}"), 431),
            ("BREW / HTTP/1.0\r\n\r\n", 501),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
            ("GET / HTTP/2.0\r\n\r\n", 505),
        ] {
            let answer = server.say(request.as_bytes())?;
            let expected = format!("HTTP/1.1 {status} ");
            ensure(
                answer.starts_with(&expected),
                &format!("{request:.40?} is answered {status}: {answer:.40?}"),
            )?;
            ensure(!request.starts_with("HEAD") || answer.ends_with("\r\n\r\n"), "HEAD has no body")?;
        }
        server.end()
    }

    fn in_turn() -> Outcome {
        let server = Server::start(8011, "--workers 1")?;
        let text = "GET /none HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /HEAD / HTTP/1.1\r\nHost: a\r\n\r\n\
                    GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let answer = server.say(text.as_bytes())?;
        let statuses: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        equal(statuses, ["404", "200", "200"].into())?;
        ensure(answer.as_bytes().ends_with(FIRST_PAGE), "the last is the page")?;
        equal(answer.matches("It works").count(), 1)?;
        // More than are answered at once.
        let many = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
        let last = "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        equal(server.say(format!("{many}{last}").as_bytes())?.matches("HTTP/1.1 200 OK").count(), 101)?;
        server.end()
    }

    fn a_file_changes() -> Outcome {
        let server = Server::start(8012, "--workers 2")?;
        let path = format!("{ROOT}/news.txt");
        let write = |text: &str| -> Outcome {
            Ok(Descriptor::open(&path, O_WRONLY | O_CREAT | O_TRUNC)?.write_all(text.as_bytes())?)
        };
        equal(server.get("/news.txt")?.0, "HTTP/1.1 404 Not Found".to_string())?;
        // The last one is longer than what is kept.
        for text in ["old", "new", "", &"long ".repeat(50_000)] {
            write(text)?;
            // Of two workers both have it then, perhaps.
            for _ in 0..6 {
                let (status, body) = server.get("/news.txt")?;
                equal(status, "HTTP/1.1 200 OK".to_string())?;
                ensure(body == text, &format!("{} bytes are served as they are", text.len()))?;
            }
        }
        process().unlink(&path)?;
        equal(server.get("/news.txt")?.0, "HTTP/1.1 404 Not Found".to_string())?;
        server.end()
    }

    fn a_directory_is_renamed() -> Outcome {
        let server = Server::start(8014, "--workers 1")?;
        let name = |name: &str| format!("{ROOT}/{name}");
        let write = |path: &str, text: &str| -> Outcome {
            Ok(Descriptor::open(&name(path), O_WRONLY | O_CREAT | O_TRUNC)?.write_all(text.as_bytes())?)
        };
        let is_there = |path: &str, text: &str| equal(server.get(path)?.1, text.to_string());
        let is_gone = |path: &str| equal(server.get(path)?.0, "HTTP/1.1 404 Not Found".to_string());
        for directory in ["one", "one/in", "other"] {
            process().mkdir(&name(directory), 0o755)?;
        }
        write("one/a.txt", "a")?;
        write("one/in/b.txt", "b")?;
        for _ in 0..2 {
            is_there("/one/a.txt", "a")?;
            is_there("/one/in/b.txt", "b")?;
        }
        process().rename(&name("one"), &name("two"))?;
        is_gone("/one/a.txt")?;
        is_gone("/one/in/b.txt")?;
        is_there("/two/in/b.txt", "b")?;
        // Another directory of that name.
        process().rename(&name("other"), &name("one"))?;
        write("one/a.txt", "other")?;
        is_there("/one/a.txt", "other")?;
        is_there("/two/a.txt", "a")?;
        server.end()
    }

    /// Connects to the local socket and asks; `None`: there is no room in the listener now.
    fn ask(text: &str) -> Outcome<Option<Descriptor>> {
        let socket = Descriptor::socket(SocketType::Stream)?;
        process().set_nonblocking(socket.number(), true)?;
        match process().connect(socket.number(), LOCAL) {
            Ok(()) => {}
            Err(error) if error.errno == EAGAIN => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        socket.write_all(text.as_bytes())?;
        Ok(Some(socket))
    }

    fn answers_unread() -> Outcome {
        // More than the worker takes and the listener has room for.
        const ENOUGH: usize = CONNECTIONS + 100;
        let text = "GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20);
        for (at, arguments) in ["", "--threads 3", "--threads 3 --epoll"].into_iter().enumerate() {
            let server = Server::start(8015 + at as u16, &format!("--workers 1 {arguments}"))?;
            let path = format!("{ROOT}/large.bin");
            Descriptor::open(&path, O_WRONLY | O_CREAT | O_TRUNC)?.write_all(&[b'x'; 32 << 10])?;
            let (mut held, mut refused, deadline) = (Vec::new(), 0, soon());
            while held.len() < ENOUGH {
                match ask(&text)? {
                    Some(socket) => {
                        held.push(socket);
                        refused = 0;
                    }
                    // The worker has all that it takes, and as many wait in the listener.
                    None if held.len() > CONNECTIONS && refused == 20 => break,
                    None => {
                        ensure(clock::now_ns() < deadline, &format!("more than {} are taken", held.len()))?;
                        refused += 1;
                        a_moment();
                    }
                }
            }
            ensure(held.len() < ENOUGH, "the worker takes no more than it has memory for")?;
            drop(held);
            let counters = server.counters()?;
            let threads = figure(&counters, "workers");
            equal(figure(&counters, "all.started"), threads)?;
            all_well(&server.load(20).run()?, 20)?;
            server.end()?;
        }
        Ok(())
    }

    fn too_slow() -> Outcome {
        let server = Server::start(8018, "--workers 1 --patience 2")?;
        let socket = ask("GET / HTTP/1.1\r\nA: ")?.ok_or_else(|| Failure::new("no room in the listener"))?;
        let deadline = soon();
        // It is closed, and then a write fails.
        while socket.write_all(b"a").is_ok() {
            ensure(clock::now_ns() < deadline, "the connection ends")?;
            rt::thread::sleep(200_000_000);
        }
        // A whole request, and nothing for longer than that: it may be followed by another one.
        let text = "GET /none HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na";
        let socket = ask(text)?.ok_or_else(|| Failure::new("no room in the listener"))?;
        rt::thread::sleep(3_000_000_000);
        socket.write_all(text.as_bytes())?;
        process().set_nonblocking(socket.number(), false)?;
        let (mut answers, mut piece) = (String::new(), [0; 4096]);
        while answers.matches("HTTP/1.1 404").count() < 2 {
            let count = socket.read(&mut piece)?;
            ensure(count > 0, "the second is answered as well")?;
            answers.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        server.end()
    }

    fn a_worker_dies() -> Outcome {
        const WORKERS: usize = 4;
        let server = Server::start(8013, &format!("--workers {WORKERS}"))?;
        let before = server.counters()?;
        let load = Load { keep_alive: true, ..server.load(2000) };
        let connections = load.connections as u64;
        let running = rt::thread::Builder::new().stack(128 << 10).spawn(move || load.run())?;
        let deadline = soon();
        let more = |now: &BTreeMap<String, u64>, name: &str| figure(now, name) - figure(&before, name);
        let now = loop {
            let now = server.counters()?;
            if more(&now, "all.requests") > 2 * connections {
                break now;
            }
            ensure(clock::now_ns() < deadline, "the load goes on")?;
        };
        let accepted = |worker: usize| more(&now, &format!("worker.{worker}.accepted"));
        let victim = (0..WORKERS).max_by_key(|&worker| accepted(worker)).unwrap_or(0);
        let pid = figure(&now, &format!("worker.{victim}.pid")) as i32;
        process_calls::kill(pid, SIGKILL.into())?;
        let tally = running.join()??;
        ensure(
            tally.failures <= accepted(victim),
            &format!("{} of its {} connections", tally.failures, accepted(victim)),
        )?;
        equal((tally.answered + tally.failures, tally.different), (2000, 0))?;
        loop {
            let now = server.counters()?;
            let again = figure(&now, &format!("worker.{victim}.pid"));
            if figure(&now, &format!("worker.{victim}.started")) == 2 && again != 0 {
                ensure(again != pid as u64, "another process")?;
                break;
            }
            ensure(clock::now_ns() < deadline, "it is started again")?;
            a_moment();
        }
        all_well(&server.load(40).run()?, 40)?;
        server.end()
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}
