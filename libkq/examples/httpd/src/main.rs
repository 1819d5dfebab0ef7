//! The web server: `cargo xtask run --manifest web --device virtio-net-pci,forward=8080:80`, then `curl localhost:8080`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use httpd::{options::Options, parent, worker};

    rt::entry!(main);

    fn main(start: &rt::Start) -> i32 {
        let arguments = &start.args()[1..];
        if start.arg(1) == "--help" {
            rt::log!("httpd: a web server of many workers\n{}", Options::HELP);
            return 0;
        }
        let options = match Options::parse(arguments) {
            Ok(options) => options,
            Err(problem) => {
                rt::log!("httpd: {problem}\n{}", Options::HELP);
                return 2;
            }
        };
        let ended = match options.place {
            None => parent::run(&options, arguments),
            Some(place) => worker::run(&options, place),
        };
        match ended {
            Ok(()) => 0,
            Err(error) => {
                rt::log!("httpd: {error}");
                1
            }
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}
