import { type Stats, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { utf16Problem } from '../file-system/files/byte-order-mark.js'
import { readRegularFileSync } from '../file-system/files/regular-file.js'
import { type PathWriter, UserGroups } from '../file-system/permissions/path-writers.js'
import { whyNotRead } from '../values/failures/file-failure.js'
import { isMissing } from '../values/failures/system-error.js'
import { type Config, ConfigError } from './config.js'
import { parseConfig } from './config-parser.js'
import { filesNamedByRelay, refuseWithheld, writersOfConfiguration } from './named-files.js'

/** Far beyond any configuration; what is larger is some other file. */
const MAX_FILE_BYTES = 1024 * 1024

/**
 * Reads `main.conf` and `logging.conf` (which may be absent) from a directory. Nothing else reads configuration files.
 * @param groups of users; everything waits for the system to name those that are not known yet
 * @throws {ConfigError} naming all that is wrong
 */
export function loadConfig(directory: string, groups = new UserGroups()): Config {
  const { config, writers } = readAndParse(directory, groups)
  refuseWithheld('main.conf', writers, filesNamedByRelay(config), groups)
  const problem = caFileProblem(config.general)
  if (problem !== undefined) throw new ConfigError([problem], config.notices)
  return config
}

/**
 * Reads it for a command that asks the relay, and uses no file that the configuration names: such a file may be one that the
 * service reads by a group of its unit, of which this process knows nothing.
 * @throws {ConfigError} naming all that is wrong
 */
export function loadConfigToAsk(directory: string): Config {
  return readAndParse(directory, new UserGroups()).config
}

function readAndParse(directory: string, groups: UserGroups) {
  const { main, logging, writers } = readConfigFiles(directory, 'main.conf')
  const config = parseConfig(main, logging, directory, path => {
    refuseWithheld('main.conf', writers, [['general.node_id_file', path]], groups)
    return readUtf8(path)
  })
  return { config, writers }
}

/**
 * Reads the configuration as {@link loadConfig} does, in a process that has others to serve: it serves them while the system
 * names groups. The files are read as they are after that.
 */
export async function reloadConfig(directory: string): Promise<Config> {
  const { writers } = readConfigFiles(directory, 'main.conf')
  return loadConfig(directory, await UserGroups.ofWriters(writers))
}

/** A folder could not be read later, and an empty file would mean the system's CAs. Absent, the start tells of it. */
function caFileProblem({ caPath, peerAuthentication }: Config['general']): string | undefined {
  if (caPath === undefined || peerAuthentication !== 'cert_validation') return undefined // then nothing reads it
  const where = `main.conf: general.ca_path: ${caPath}`
  let stats: Stats | undefined
  try {
    stats = statSync(caPath, { throwIfNoEntry: false })
  } catch (error) {
    return `${where} cannot be read: ${whyNotRead(error)}`
  }
  if (stats === undefined) return undefined
  if (!stats.isFile()) return `${where} is no file; join the CAs of a folder to one PEM file`
  return stats.size === 0 ? `${where} is empty; expected CA certificates, PEM` : undefined
}

/**
 * The texts of `main.conf` or `agent.conf`, and of `logging.conf`, which may be absent; and who else may write the first one,
 * which is judged as it is read: by its path it could be another file a moment later.
 * @throws {ConfigError} naming each that cannot be read
 */
export function readConfigFiles(
  directory: string,
  name: 'main.conf' | 'agent.conf'
): { readonly main: string; readonly logging: string | undefined; readonly writers: readonly PathWriter[] } {
  const problems: string[] = []
  let writers: readonly PathWriter[] = []
  const main = readIfPresent(directory, name, problems, fd => {
    writers = writersOfConfiguration(fd)
  })
  const logging = readIfPresent(directory, 'logging.conf', problems)
  if (main === undefined && problems.length === 0) {
    const folder = resolve(directory)
    const isThere = statSync(folder, { throwIfNoEntry: false }) !== undefined
    const missing = isThere ? `there is no file ${join(folder, name)}` : `there is no folder ${folder} to read it from`
    problems.push(`${name}: ${missing}; ${otherProgram(folder, name) ?? 'name the folder that has it with --config'}`)
  }
  if (main === undefined || problems.length > 0) throw new ConfigError(problems)
  return { main, logging, writers }
}

/** @returns the advice for a folder that has the configuration of the other program */
function otherProgram(folder: string, name: 'main.conf' | 'agent.conf'): string | undefined {
  const [other, command] =
    name === 'main.conf' ? ['agent.conf', 'an agent: treeline agent'] : ['main.conf', 'a relay: treeline serve']
  const isThere = statSync(join(folder, other), { throwIfNoEntry: false }) !== undefined
  return isThere ? `${other} is there, so this is the folder of ${command}` : undefined
}

/** @returns undefined when there is none, or when it cannot be read, which is a problem then */
function readIfPresent(
  directory: string,
  name: string,
  problems: string[],
  judge?: (fd: number) => void
): string | undefined {
  try {
    return readUtf8(join(directory, name), judge)
  } catch (error) {
    const isAbsent = isMissing(error)
    if (!isAbsent) problems.push(`${name}: cannot be read: ${whyNotRead(error)}`)
    return undefined
  }
}

/** UTF-8, with or without a byte order mark. */
function readUtf8(path: string, judge?: (fd: number) => void): string {
  const stats = statSync(path)
  if (!stats.isFile()) throw new Error(`${path} is not a file`)
  if (stats.size > MAX_FILE_BYTES) throw new Error(`${path} has more than ${MAX_FILE_BYTES} bytes`)
  const bytes = readRegularFileSync(path, judge)
  const problem = utf16Problem(bytes)
  if (problem !== undefined) throw new Error(`${path}: ${problem}`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new Error(`${path} is not UTF-8 text`, { cause: error })
  }
}
