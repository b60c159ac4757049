//! What the example programs share: the reader of IOS configuration, capture files, the lab underlay.
