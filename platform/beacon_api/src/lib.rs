//! beacon_api
