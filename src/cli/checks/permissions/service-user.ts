import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { readRegularFileSync } from '../../../file-system/files/regular-file.js'
import { ROOT } from '../../../file-system/permissions/root.js'
import { userIdOf } from '../../../file-system/permissions/system-users.js'
import { unitName } from '../../../membership/setup/systemd-unit.js'
import { findFolder, type WrittenFolder } from './open-folders.js'

/** A unit of which each instance has a configuration of its own, named in it as `%i`. */
const TEMPLATE = /^treeline[\w.-]*@\.service$/
const INSTALLED_UNITS = ['/usr/lib/systemd/system', '/lib/systemd/system', '/etc/systemd/system']

/** A configuration that is checked, and what would run by it. */
export interface CheckedService {
  readonly command: 'serve' | 'agent'
  readonly nodeId: string
  /** The folder of the configuration. */
  readonly directory: string
  readonly storage: WrittenFolder
}

/** The user for whom a check holds. */
export interface CheckedUser {
  readonly uid: number | undefined
  /** The way in which the user is known, where it is not the one that checks. */
  readonly known: string | undefined
  /** The words before a command that have it run as that user, with the groups of the service; for root, where it is another one. */
  readonly runAs?: string
  readonly warnings: readonly string[]
}

/**
 * Finds the user that a relay or agent will run as, as far as can be known before its start: for a check of root's that
 * of the installed unit, else the owner of `storage.path`; any other user is taken for the owner too.
 * @param unitFolders of installed units, the one that counts most last
 */
export function findServiceUser(
  service: CheckedService,
  euid = process.geteuid?.(),
  unitFolders: readonly string[] = INSTALLED_UNITS
): CheckedUser {
  const { setting, path } = service.storage
  const owner = findFolder(path)?.uid
  const unit = euid === ROOT ? installedUser(service, unitFolders) : undefined
  if (unit === undefined) {
    if (owner === undefined || owner === euid) return { uid: owner ?? euid, known: undefined, warnings: [] }
    const known = `user ${owner}, the owner of ${setting}`
    return { uid: owner, known, ...(euid === ROOT ? { runAs: `sudo -u '#${owner}'` } : {}), warnings: [] }
  }
  const { name, uid, file, properties } = unit
  const isOther = uid !== euid
  const known = isOther ? `user ${name}, as whom ${file} runs it` : undefined
  const found = { uid, known, ...(isOther ? { runAs: `systemd-run --pipe --wait --quiet ${properties}` } : {}) }
  if (owner === undefined || owner === uid) return { ...found, warnings: [] }
  const text = `${setting} ${path} belongs to user ${owner}, and ${file} runs this as ${name}, who needs to write there; chown -R ${name}: ${path}`
  return { ...found, warnings: [text] }
}

/** The user of the installed unit that starts this configuration, where the system knows both. */
function installedUser({ command, nodeId, directory }: CheckedService, unitFolders: readonly string[]) {
  const own = command === 'serve' ? 'treeline.service' : 'treeline-agent.service'
  const templates = unitFolders.flatMap(folder => namesIn(folder).filter(name => TEMPLATE.test(name)))
  const names = [...new Set(templates), own, unitName({ command, id: nodeId })]
  const files = names.flatMap(name => unitFolders.map(folder => join(folder, name)))
  const file = files.findLast(each => instanceFor(textOf(each), command, directory) !== undefined)
  if (file === undefined) return undefined
  const instance = instanceFor(textOf(file), command, directory) ?? ''
  const name = basename(file)
  const dropIns = new Set([name, name.replace('@.', `@${instance}.`)])
  const parts = [
    textOf(file),
    ...[...dropIns].flatMap(each => unitFolders.flatMap(at => dropInsOf(join(at, `${each}.d`))))
  ]
  const text = parts.join('\n').replaceAll(/%[iI]/g, () => instance)
  const user = settingsIn(text, 'User').at(-1) || 'root'
  const uid = userIdOf(user)
  return uid === undefined ? undefined : { name: user, uid, file, properties: propertiesOf(user, text) }
}

/** The options that give a command of systemd-run the user and the groups of a unit. */
function propertiesOf(user: string, text: string): string {
  const groups = settingsIn(text, 'SupplementaryGroups')
  const given = {
    User: user,
    Group: settingsIn(text, 'Group').at(-1) ?? '',
    SupplementaryGroups: groups.slice(groups.lastIndexOf('') + 1).join(' ') // an empty one begins anew
  }
  return Object.entries(given)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `-p ${name}=${/^[\w.-]+$/.test(value) ? value : `'${value.replaceAll("'", '')}'`}`)
    .join(' ')
}

/** The values of a setting of a unit, in their order. */
function settingsIn(text: string, name: string): string[] {
  return [...text.matchAll(new RegExp(`^${name}[ \\t]*=[ \\t]*(.*?)[ \\t]*$`, 'gm'))].map(([, value = '']) => value)
}

/**
 * Finds the instance of a unit that starts this configuration.
 * @returns undefined where the unit starts another one; empty for a unit that has no instances
 */
function instanceFor(text: string, command: CheckedService['command'], directory: string): string | undefined {
  const [, line = '', started = ''] =
    [...text.matchAll(/^ExecStart=(.*\s(?:--config|-c)[ =]"?([^\s"]+).*)$/gm)].at(-1) ?? []
  if (started === '' || /\sagent\s/.test(line) !== (command === 'agent')) return undefined
  const pattern = started
    .replace(/\/+$/, '')
    .split(/(%.)/)
    .map(part => (/^%[iI]$/.test(part) ? '([^/]+)' : literally(part === '%%' ? '%' : part)))
  const found = new RegExp(`^${pattern.join('')}$`).exec(directory)
  return found === null ? undefined : (found[1] ?? '')
}

function literally(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}

function dropInsOf(folder: string): string[] {
  const names = namesIn(folder).filter(name => name.endsWith('.conf'))
  return names.sort().map(name => textOf(join(folder, name)))
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // there is none
  }
}

function textOf(file: string): string {
  try {
    return readRegularFileSync(file).toString('utf8')
  } catch {
    return '' // none is installed
  }
}
