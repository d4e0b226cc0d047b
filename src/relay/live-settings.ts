import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../config/config.js'

/** Settings that a reload puts in force at once; a change of any other one waits for a restart. */
const LIVE: ReadonlySet<string> = new Set([
  'tree.certificateLifetimeMs',
  'tree.renewalGraceMs',
  'general.trustedProxies',
  'general.behindProxy',
  'general.hostnames',
  'general.peerAuthentication',
  'general.connectTimeoutMs',
  'general.responseTimeoutMs',
  'general.httpsIdleTimeoutMs',
  'general.httpsPort',
  'general.caPath',
  'links.lane',
  'general.httpsCertificateFile',
  'general.httpsKeyFile',
  'upstream.host',
  'upstream.port',
  'upstream.nodeId',
  'upstream.user',
  'upstream.password',
  'upstream.serverCertificateFile',
  'remoteRun.allowedNetworks',
  'remoteRun.stderr',
  'sharedFiles.allowedNetworks',
  'sharedFolder.allowedNetworks',
  'sharedFolder.followLinks',
  'metrics.allowedNetworks',
  'services.allowedNetworks',
  'services.agentKeys',
  'services.rate',
  'services.rates',
  'services.log'
])

/** The parts of the configuration, as they are named there. */
export const SECTIONS = [
  'general',
  'tree',
  'upstream',
  'links',
  'remoteRun',
  'sharedFiles',
  'sharedFolder',
  'limits',
  'storage',
  'services',
  'metrics',
  'tokens'
] as const

/** Names in `main.conf` that do not follow from ours. */
const NAMES: Readonly<Record<string, string>> = {
  'sharedFiles.maxBodyBytes': 'shared_files.max_body_size',
  'sharedFiles.maxTotalBytes': 'shared_files.max_total_size',
  'sharedFiles.cleanupFrequency': 'shared_files.cleanup.frequency',
  'remoteRun.maxOutputBytes': 'remote_run.max_output',
  'limits.minBytesPerSecond': 'limits.min_rate',
  'upstream.port': 'output.upstream.host'
}

/** A setting as an operator knows it. @param setting `remoteRun.timeoutMs` @returns `remote_run.timeout` */
export function settingName(setting: string): string {
  const name = setting.replace(/Ms$/, '').replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
  return NAMES[setting] ?? name.replace(/^upstream\./, 'output.upstream.')
}

/** The settings that differ and are only read at start, as they are called in `main.conf`. */
export function changesThatNeedRestart(running: Config, read: Config): string[] {
  return SECTIONS.flatMap(section => {
    const before: Readonly<Record<string, unknown>> = { ...running[section] }
    const after: Readonly<Record<string, unknown>> = { ...read[section] }
    return [...new Set([...Object.keys(before), ...Object.keys(after)])]
      .filter(key => !LIVE.has(`${section}.${key}`) && !isSame(before[key], after[key]))
      .map(key => settingName(`${section}.${key}`))
  })
}

function isSame(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(one, other) || JSON.stringify(one) === JSON.stringify(other)
}
