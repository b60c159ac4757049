//! The command line of `dmvpn`.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where commands come in, unless stated.
pub const CONTROL: &str = "/run/dmvpn.sock";

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Options {
    /// `dmvpn run`.
    Run(Box<Run>),
    /// A command for a daemon that runs.
    Command {
        /// `--control`
        control: PathBuf,
        /// The command's words.
        words: Vec<String>,
    },
    /// `help`, or `--help` anywhere: with the word that it is about.
    Help(Option<String>),
}

/// `dmvpn run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The configuration.
    pub configuration: PathBuf,
    /// `--control`
    pub control: PathBuf,
    /// `--debug`
    pub debug: bool,
    /// `--pcap`
    pub pcap: Option<PathBuf>,
    /// `--keys`
    pub keys: Option<PathBuf>,
    /// `--force-encapsulation`
    pub force_encapsulation: bool,
    /// `--user`
    pub user: Option<String>,
}

/// Why a command line is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// Nothing to do.
    #[error("no command")]
    Nothing,
    /// `run` without a file.
    #[error("run needs a configuration")]
    NoConfiguration,
    /// An argument that means nothing.
    #[error("unknown argument `{0}`")]
    Unknown(String),
    /// An option at the end that needs a value.
    #[error("{0} needs a value")]
    NoValue(&'static str),
}

impl Options {
    /// Reads the arguments, without the program's name.
    ///
    /// # Errors
    ///
    /// [`OptionsError`].
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, OptionsError> {
        let mut arguments = arguments.into_iter();
        let mut control = PathBuf::from(CONTROL);
        loop {
            let argument = arguments.next().ok_or(OptionsError::Nothing)?;
            match argument.to_str() {
                Some("--control") => control = value(&mut arguments, "--control")?,
                Some("--help" | "-h") => return Ok(Self::Help(None)),
                Some("help") => return Ok(Self::Help(arguments.next().map(lossy))),
                Some("run") => return run(arguments, control),
                Some(word) if !word.starts_with('-') => {
                    let words = core::iter::once(argument.clone()).chain(arguments);
                    let words: Vec<String> = words.map(lossy).collect();
                    if words.iter().any(|word| ["--help", "-h"].contains(&word.as_str())) {
                        return Ok(Self::Help(words.into_iter().next()));
                    }
                    return Ok(Self::Command { control, words });
                }
                _ => return Err(OptionsError::Unknown(argument.to_string_lossy().into_owned())),
            }
        }
    }
}

fn run(
    mut arguments: impl Iterator<Item = OsString>,
    control: PathBuf,
) -> Result<Options, OptionsError> {
    let mut run = Run {
        configuration: PathBuf::new(),
        control,
        debug: false,
        pcap: None,
        keys: None,
        force_encapsulation: false,
        user: None,
    };
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--control") => run.control = value(&mut arguments, "--control")?,
            Some("--debug") => run.debug = true,
            Some("--pcap") => run.pcap = Some(value(&mut arguments, "--pcap")?),
            Some("--keys") => run.keys = Some(value(&mut arguments, "--keys")?),
            Some("--force-encapsulation") => run.force_encapsulation = true,
            Some("--user") => {
                let name: PathBuf = value(&mut arguments, "--user")?;
                run.user = Some(name.to_string_lossy().into_owned());
            }
            Some("--help" | "-h") => return Ok(Options::Help(Some("run".into()))),
            Some(option) if option.starts_with('-') => {
                return Err(OptionsError::Unknown(option.to_owned()));
            }
            _ if run.configuration.as_os_str().is_empty() => run.configuration = argument.into(),
            _ => return Err(OptionsError::Unknown(argument.to_string_lossy().into_owned())),
        }
    }
    if run.configuration.as_os_str().is_empty() {
        return Err(OptionsError::NoConfiguration);
    }
    Ok(Options::Run(Box::new(run)))
}

fn lossy(word: OsString) -> String {
    word.to_string_lossy().into_owned()
}

fn value(
    arguments: &mut impl Iterator<Item = OsString>,
    option: &'static str,
) -> Result<PathBuf, OptionsError> {
    arguments.next().map(PathBuf::from).ok_or(OptionsError::NoValue(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, OptionsError> {
        Options::read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn commands_and_run_take_the_socket() {
        let control = PathBuf::from("/run/s");
        let words = ["show", "dmvpn", "--json"].map(str::to_owned).to_vec();
        let expected = Options::Command { control: control.clone(), words };
        assert_eq!(read("--control /run/s show dmvpn --json"), Ok(expected));
        let Ok(Options::Run(run)) = read("run hub.ios --control /run/s --keys k --user dmvpn")
        else {
            panic!()
        };
        assert_eq!((run.control, run.configuration), (control, PathBuf::from("hub.ios")));
        assert_eq!((run.keys, run.user), (Some(PathBuf::from("k")), Some("dmvpn".to_owned())));
    }

    #[test]
    fn help_is_about_the_word_that_it_is_asked_for() {
        let about = |word: &str| Ok(Options::Help(Some(word.to_owned())));
        assert_eq!(read("help"), Ok(Options::Help(None)));
        assert_eq!(read("--help"), Ok(Options::Help(None)));
        assert_eq!(read("help show"), about("show"));
        assert_eq!(read("show dmvpn --help"), about("show"));
        assert_eq!(read("run hub.ios -h"), about("run"));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert_eq!(read(""), Err(OptionsError::Nothing));
        assert_eq!(read("run"), Err(OptionsError::NoConfiguration));
        assert_eq!(read("run a b"), Err(OptionsError::Unknown("b".into())));
        assert_eq!(read("run a --pcap"), Err(OptionsError::NoValue("--pcap")));
        assert_eq!(read("--nonsense"), Err(OptionsError::Unknown("--nonsense".into())));
    }
}
