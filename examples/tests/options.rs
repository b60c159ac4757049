//! The command line of `phase1`.

use dmvpn_examples::options::{Debug, Options, OptionsError, Show, ShowCommand, Side};

fn read(line: &[&str]) -> Result<Options, OptionsError> {
    Options::read(line.iter().map(Into::into))
}

#[test]
fn no_flags_needed() {
    let options = read(&[]).unwrap();
    assert_eq!(options, Options::default());
    assert_eq!(options.debug, Debug::Both);
}

#[test]
fn every_option() {
    let options = read(&[
        "--debug",
        "none",
        "--show",
        "hub:show dmvpn detail",
        "--show",
        "spoke:show ip  nhrp",
        "--pcap",
        "f.pcap",
        "--keys",
        "d",
        "--nat",
        "--loss",
        "10",
        "--seed",
        "7",
        "--config-hub",
        "h.ios",
        "--config-spoke",
        "s.ios",
    ])
    .unwrap();
    let show = |side, command| Show { side, command };
    let expected = Options {
        debug: Debug::None,
        show: vec![
            show(Side::Hub, ShowCommand::DmvpnDetail),
            show(Side::Spoke, ShowCommand::IpNhrp),
        ],
        pcap: Some("f.pcap".into()),
        keys: Some("d".into()),
        nat: true,
        loss: Some(10),
        seed: 7,
        config_hub: Some("h.ios".into()),
        config_spoke: Some("s.ios".into()),
        help: false,
    };
    assert_eq!(options, expected);
    for (command, typed) in ShowCommand::ALL {
        let options = read(&["--show", &format!("hub:{typed}")]).unwrap();
        assert_eq!(options.show, [show(Side::Hub, command)]);
    }
}

#[test]
fn errors_name_the_option() {
    let show = "`--show` takes hub: or spoke: and a show command as typed on the router, not";
    for (line, expected) in [
        (&["--verbose"][..], "unknown option `--verbose`".to_owned()),
        (&["capture"], "unknown option `capture`".to_owned()),
        (&["--pcap"], "`--pcap` needs a file".to_owned()),
        (&["--debug", "all"], "`--debug` takes hub, spoke, both or none, not `all`".to_owned()),
        (&["--loss", "101"], "`--loss` takes 0 to 100, not `101`".to_owned()),
        (&["--seed", "-1"], "`--seed` takes a number, not `-1`".to_owned()),
        (&["--show", "show dmvpn"], format!("{show} `show dmvpn`")),
        (&["--show", "hub:show version"], format!("{show} `hub:show version`")),
    ] {
        assert_eq!(read(line).unwrap_err().to_string(), expected);
    }
}
