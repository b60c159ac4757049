//! The guide's hub and spoke, end to end.

mod pair;

use std::time::Duration;

use dmvpn_isakmp::cisco::Debug;
use pair::Pair;

#[test]
fn the_guides_tunnel_comes_up() {
    let mut pair = Pair::guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    for host in &pair.hosts {
        for (at, sent) in &host.sent {
            println!("{at} {} {}", host.address, sent.payload.len());
        }
        for trace in &host.traces {
            println!("{}", Debug(trace));
        }
        println!("{:?}", host.discards);
    }
    pair.assert_connected();
    pair.assert_one_pair();
}
