//! Compiles what stable Rust cannot define: variadic functions, and the jump out of a thread.

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=include");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    cc::Build::new()
        .compiler("gcc")
        .std("gnu11")
        .pic(false)
        .warnings_into_errors(true)
        .extra_warnings(true)
        .flags([
            "-ffreestanding",
            "-fno-stack-protector",
            "-fno-asynchronous-unwind-tables",
            "-fcf-protection=none",
            "-U_FORTIFY_SOURCE",
        ])
        // The program's own headers, and of the compiler's only those that belong to it.
        .flags(["-nostdinc", "-isystem", "include", "-isystem"])
        .flag(own_headers())
        .files([
            "src/stdio/format.c",
            "src/stdio/print.c",
            "src/pthread/jump.c",
            "src/variadic.c",
            "src/small.c",
            "src/ctype.c",
            "src/strings.c",
            "src/err.c",
            "src/getopt.c",
        ])
        .compile("kq-variadic");
}

/// Where the compiler keeps `stdarg.h` and the like.
fn own_headers() -> String {
    let asked = std::process::Command::new("gcc").arg("-print-file-name=include").output();
    match asked {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => panic!("the C library needs gcc (on Debian and Ubuntu: apt-get install gcc): {error}"),
    }
}
