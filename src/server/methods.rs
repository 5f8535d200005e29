//! The methods that the server answers, by name: what metrics and traces may call them.

use prost::Message;
use prost_types::FileDescriptorSet;

use super::well_known;
use crate::{metrics::MethodName, proto};

/// Every method of every service, and the documents.
pub(super) fn all() -> Vec<MethodName> {
    let sets = [
        proto::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut names: Vec<MethodName> = sets.into_iter().flat_map(of).collect();
    names.extend(well_known::PATHS.map(|path| MethodName {
        name: path.trim_start_matches('/').to_owned(),
        streams: false,
    }));
    names
}

fn of(descriptors: &[u8]) -> Vec<MethodName> {
    // They were compiled in, and reflection has decoded them before.
    let set = FileDescriptorSet::decode(descriptors).unwrap_or_default();
    let mut names = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let name = |method: &str| format!("{}.{}/{method}", file.package(), service.name());
            names.extend(service.method.iter().map(|method| MethodName {
                name: name(method.name()),
                streams: method.server_streaming(),
            }));
        }
    }
    names
}
