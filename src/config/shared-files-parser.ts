import { cleanupSchedule } from './cleanup-frequency.js'
import type { Config } from './config.js'
import type { Section } from './readers/section.js'
import { byteSize, flag, networks, pathFrom, wholeNumber } from './readers/value-readers.js'

const EVERY_NETWORK = ['0.0.0.0/0', '::/0']

/** Reads `[shared_files]`. */
export function readSharedFiles(section: Section, directory: string): Config['sharedFiles'] {
  return {
    path: section.read('path', pathFrom(directory), '/var/rudder/shared-files/'),
    maxBodyBytes: section.read('max_body_size', byteSize(1), 52_428_800),
    cleanupFrequency: section.section('cleanup').read('frequency', cleanupSchedule, '10min'),
    maxTotalBytes: section.optional('max_total_size', byteSize(1)),
    maxFilesPerSource: section.optional('max_files_per_source', wholeNumber(1, Number.MAX_SAFE_INTEGER)),
    allowedNetworks: section.read('allowed_networks', networks, EVERY_NETWORK),
    allowSha1: section.read('allow_sha1', flag, true),
    requireSender: section.read('require_sender', flag, false)
  }
}

/** Reads `[shared_folder]`. */
export function readSharedFolder(section: Section, directory: string): Config['sharedFolder'] {
  return {
    path: section.read('path', pathFrom(directory), '/var/rudder/configuration-repository/shared-files/'),
    followLinks: section.read('follow_links', flag, false),
    allowedNetworks: section.read('allowed_networks', networks, [])
  }
}
