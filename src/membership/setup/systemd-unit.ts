import type { DataFolders } from './data-folders.js'

export interface UnitText {
  readonly id: string
  /** `serve` for a relay, `agent` for a node. */
  readonly command: 'serve' | 'agent'
  readonly program: readonly string[]
  /** The folder of the configuration. */
  readonly folder: string
  readonly data: DataFolders
  readonly user: string
}

/** A name that no other relay or agent on the machine has, since ids differ. */
export function unitName({ command, id }: Pick<UnitText, 'command' | 'id'>): string {
  return `treeline-${command === 'serve' ? 'relay' : 'agent'}-${id}.service`
}

/** A unit for systemd, to be installed: hardened as those in deploy/systemd, which explain themselves. */
export function systemdUnit(unit: UnitText): string {
  const { id, command, program, folder, user } = unit
  const start = [...program, command, '--config', folder].map(quoteArgument).join(' ')
  return `# Written by treeline for this machine. Install it where root alone can write, with its own name: in /etc/systemd/system.
[Unit]
Description=Treeline ${command === 'serve' ? 'relay' : 'agent'} ${id}
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=all
WatchdogSec=60s
TimeoutStartSec=5min
ExecStart=${start}
ExecReload=/bin/kill -HUP $MAINPID
User=${user}
Environment=${environment(unit).join(' ')}
Restart=always
RestartSec=2s
RestartPreventExitStatus=2
KillMode=mixed
TimeoutStopSec=45s
LimitNOFILE=262144
UMask=0027
${(user === 'root' ? ROOT : sandbox(unit)).join('\n')}

[Install]
WantedBy=multi-user.target
`
}

/** A unit with a `/tmp` of its own has a folder for the socket of `treeline log` elsewhere. */
function environment(unit: UnitText): string[] {
  return ['NODE_ENV=production', ...(unit.user === 'root' ? [] : [`TREELINE_RUN_DIR=/run/${runName(unit)}`])]
}

function runName(unit: UnitText): string {
  return unitName(unit).replace(/\.service$/, '')
}

const ROOT = [
  '',
  '# Commands run as root, and so does all else here, without a sandbox: with --user, treeline writes a unit for',
  '# a user without rights.'
]

/**
 * The sandbox of the service, as narrow as possible: its certificates and `host` are renewed in the folder, all else
 * is written to the data.
 */
function sandbox(unit: UnitText): string[] {
  const { command, program, folder, data, user } = unit
  const capabilities = command === 'serve' ? 'CAP_NET_BIND_SERVICE' : ''
  const service = command === 'serve' ? 'treeline' : 'treeline-agent'
  const written = [...new Set([folder, data.path])]
  const used = [...program.filter(word => word.startsWith('/')), ...written]
  const isIn = (...places: readonly string[]) =>
    used.some(path => places.some(place => path === place || path.startsWith(`${place}/`)))
  return [
    '',
    `# Commands run as ${user} too, and in here. For those that need root, add deploy/systemd/${service}.service.d/sudo.conf`,
    '# (docs/operations.md), or write this unit anew with --user root.',
    ...(data.stateName === undefined ? [] : [`StateDirectory=${data.stateName}`, 'StateDirectoryMode=0750']),
    `RuntimeDirectory=${runName(unit)}`,
    'RuntimeDirectoryMode=0750',
    'ProtectSystem=strict',
    `ReadWritePaths=${written.map(quoteWord).join(' ')}`,
    ...(command === 'serve' ? [`AmbientCapabilities=${capabilities}`] : []),
    `CapabilityBoundingSet=${capabilities}`,
    'NoNewPrivileges=yes',
    'LockPersonality=yes',
    'PrivateDevices=yes',
    `PrivateTmp=${isIn('/tmp', '/var/tmp') ? 'no' : 'yes'}`,
    'ProtectClock=yes',
    'ProtectControlGroups=yes',
    `ProtectHome=${isIn('/home', '/root', '/run/user') ? 'read-only' : 'yes'}`,
    'ProtectHostname=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'SystemCallArchitectures=native',
    'SystemCallFilter=@system-service',
    'SystemCallErrorNumber=EPERM'
  ]
}

/** Quotes an argument of a command line: `$` stands for itself. */
function quoteArgument(word: string): string {
  return quoteWord(word.replaceAll('$', '$$$$'))
}

/** Quotes a word of a list as systemd reads it: quoted where need be, and `%` stands for itself. */
function quoteWord(word: string): string {
  const text = word.replaceAll('%', '%%')
  return /^[\w./@:=+,%$-]+$/.test(text) ? text : `"${text.replaceAll(/[\\"]/g, '\\$&')}"`
}
