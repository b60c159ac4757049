//! A DMVPN router on Linux: `dmvpn run ROUTER.ios`, and the commands that are typed at it.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::io;
    use std::process::ExitCode;

    use dmvpn_examples::daemon::control::{Answer, ask};
    use dmvpn_examples::daemon::options::Options;
    use dmvpn_examples::daemon::{help, start};

    let options = match Options::read(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("dmvpn: {error}\n\n{}", help::text(None));
            return ExitCode::from(2);
        }
    };
    match options {
        Options::Help(word) => {
            print!("{}", help::text(word.as_deref()));
            ExitCode::SUCCESS
        }
        Options::Run(options) => match start::run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("dmvpn: {error}");
                ExitCode::from(2)
            }
        },
        Options::Command { control, words } => {
            match ask(&control, &words, &mut io::stdout(), &mut io::stderr()) {
                Ok(Answer::Ok) => ExitCode::SUCCESS,
                Ok(Answer::Refused) => ExitCode::FAILURE,
                // Whoever reads has seen enough, as `head` has.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("dmvpn: {}: {error}", control.display());
                    ExitCode::from(2)
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("dmvpn: this daemon needs Linux");
    std::process::ExitCode::from(2)
}
