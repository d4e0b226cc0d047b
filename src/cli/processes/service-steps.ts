import { createHash } from 'node:crypto'
import { ROOT } from '../../file-system/permissions/root.js'
import { UsageError } from '../command-error.js'

/** A service that is to be installed. */
export interface Service {
  readonly command: 'serve' | 'agent'
  /** The name of its unit, which lies in `folder`. */
  readonly unit: string
  readonly folder: string
  /** The folder of its data. */
  readonly data: string
  readonly user: string
  readonly program: readonly string[]
  /** The content of the unit. */
  readonly text: string
}

export const DATA_OPTION = [
  '--data <dir>',
  'folder for data (default: /var/lib/<name> for --dir /etc/<name>, else --dir)'
] as const

export const USER_OPTION = [
  '--user <name>',
  'user of the systemd unit (default: the caller; for root treeline, or treeline-agent on a node)'
] as const

/** The value of `--user`, or the default. @throws {UsageError} */
export function readUser(text: string | undefined, command: 'serve' | 'agent', current: string): string {
  if (text === undefined) return current !== 'root' ? current : command === 'serve' ? 'treeline' : 'treeline-agent'
  if (/^[A-Za-z_][\w.-]{0,31}$/.test(text)) return text
  throw new UsageError(`--user should be the name of a user, not ${JSON.stringify(text)}`)
}

/**
 * The lines that have a service manager start it, to be run as root. The unit goes where its user cannot write: it says
 * as whom it is started. Where root has written it into a folder of that user already, the copy is compared with what was
 * written before it is used.
 * @param folderOwner of `folder`, by number
 */
export function serviceSteps(
  { command, unit, folder, data, user, program, text }: Service,
  current: string,
  folderOwner: number
): string {
  const what = command === 'serve' ? 'relay' : 'agent'
  const places = [...new Set([folder, data])].map(quote).join(' ')
  const needsUser = user !== 'root' && user !== current
  const home = program.find(word => /^\/(root|home)\//.test(word))
  const lines = [
    `install -m 644 ${quote(`${folder}/${unit}`)} /etc/systemd/system/`, // before its user can change it
    ...(needsUser
      ? [
          `id ${user} || useradd --system --home-dir ${quote(data)} --no-create-home --shell /usr/sbin/nologin ${user}`,
          `chown -R ${user}: ${places}`
        ]
      : []),
    `${current === 'root' && folderOwner !== ROOT ? `${comparison(unit, text)} && ` : ''}systemctl enable --now ${unit}`
  ]
  const note =
    needsUser && home !== undefined
      ? `\nnote: ${user} may not be able to read ${home}: install treeline elsewhere, such as in /opt, and then run this command from there`
      : ''
  return `or, with systemd, as root (the ${what} runs as ${user}):\n${lines.map(line => `  ${line}`).join('\n')}${note}`
}

function comparison(unit: string, text: string): string {
  const hash = createHash('sha256').update(text).digest('hex')
  return `echo '${hash}  /etc/systemd/system/${unit}' | sha256sum --check`
}

function quote(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
