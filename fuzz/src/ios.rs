//! The reader of IOS configuration: what is accepted prints as text that reads back equal.

use dmvpn_examples::ios::Router;

use crate::memory::bounded;

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match bounded(text.len(), 512, 16_384, || Router::read(text)) {
        Ok(router) => {
            let printed = router.to_string();
            match Router::read(&printed) {
                Ok(again) => {
                    assert_eq!(again, router, "{printed}");
                    assert_eq!(again.to_string(), printed, "canonical");
                }
                Err(error) => panic!("{error}\n{printed}"),
            }
            for tunnel in &router.tunnels {
                assert!(router.tunnel_source(tunnel).is_some());
            }
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
}
