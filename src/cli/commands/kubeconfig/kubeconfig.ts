import { isAbsolute, resolve } from 'node:path'
import type { Command } from 'commander'
import { readNamedFile } from '../../../file-exchange/places/named-file.js'
import { writeNewFile } from '../../../file-system/files/write-new-file.js'
import { errorCode, errorMessage } from '../../../values/failures/system-error.js'
import { checkCertificatePair } from '../../checks/certificate-pair-check.js'
import { UsageError } from '../../command-error.js'
import { certificatesIn } from '../../options/certificate-file.js'
import { JSON_OPTION } from '../../options/connection-options.js'
import { example } from '../../options/example.js'
import { readSecretFile } from '../../options/secret-file.js'
import { printDiagnostic } from '../../output/diagnostic.js'
import { printJson } from '../../output/table.js'
import { checkServiceKey } from '../services/replicas.js'
import { apiServerAt, apiServerOf } from './api-server.js'
import { formatKubeconfig, type KubeUser, kubeconfigOf } from './kubeconfig-text.js'

interface KubeconfigOptions {
  readonly config?: string
  readonly url?: string
  readonly listenerUrl?: string
  readonly ca?: string
  readonly tlsServerName?: string
  readonly callTokenFile?: string
  readonly cert?: string
  readonly key?: string
  readonly context?: string
  readonly namespace?: string
  readonly out?: string
  readonly json?: boolean
}

/** A name of Kubernetes: of a context and what it consists of, or of a namespace. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._@:/-]{0,251}[A-Za-z0-9])?$/
const OWNER_ONLY = 0o600
/** A token as `Authorization` can carry it (RFC 6750, section 2.1). */
const TOKEN = /^[\w.~+/-]+=*$/

/** `treeline kubeconfig`. */
export function register(program: Command): void {
  program
    .command('kubeconfig')
    .description('Write a kubeconfig for kubectl, whose server is a service of the tree')
    .argument('<key>', 'key of the service')
    .option(
      '-c, --config <dir>',
      'configuration directory of the relay that is asked: gives its listener (default: TREELINE_CONFIG)'
    )
    .option('--url <url>', "or that relay's address for callers of services, to which /v1/relay/<key> is added")
    .option('--listener-url <url>', 'or the URL of a [[service_listener]], at whose root the service is')
    .option(
      '--ca <file>',
      "certificates (PEM) by which kubectl trusts the relay (default: the configured listener's own)"
    )
    .option('--tls-server-name <name>', "the name in the relay's certificate, where the URL has another")
    .option('--call-token-file <file>', 'file with a token for the key (call:<key>), which goes into the kubeconfig')
    .option('--cert <file>', 'or a certificate (PEM) for the key, which goes into the kubeconfig')
    .option('--key <file>', 'private key (PEM) of that certificate')
    .option('--context <name>', 'name of the context (default: the key)')
    .option('--namespace <name>', 'namespace of the context')
    .option('--out <file>', 'write this file, which must not exist yet, for its owner alone (default: print)')
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      example(
        'treeline kubeconfig east --url https://relay.example.com:8443 --ca ca.pem --call-token-file token --out east.yaml'
      )
    )
    .action(write)
}

async function write(key: string, options: KubeconfigOptions): Promise<void> {
  checkServiceKey(key)
  const context = named('--context', options.context ?? key)
  const namespace = options.namespace === undefined ? undefined : named('--namespace', options.namespace)
  const user = await readUser(options)
  const server = await readServer(key, options)
  const kubeconfig = kubeconfigOf({ context, namespace, server, user })
  if (server.note !== undefined) printDiagnostic(`note: ${server.note}`)
  if (user.kind !== 'none' && server.url.startsWith('http:')) {
    printDiagnostic(`warning: ${server.url} is no https: others on the way can read the ${user.kind}`)
  }
  if (options.out === undefined) {
    if (options.json === true) printJson(kubeconfig)
    else process.stdout.write(formatKubeconfig(kubeconfig))
    return
  }
  const file = resolve(options.out)
  await writeOut(file, formatKubeconfig(kubeconfig))
  if (options.json === true) printJson({ file, context, server: server.url, user: user.kind })
  else
    console.log(
      `written: ${file}\nuse it:  kubectl --kubeconfig ${isAbsolute(options.out) ? file : options.out} version`
    )
}

/** @throws {UsageError} naming the options of which one is needed, or which exclude each other */
async function readServer(key: string, options: KubeconfigOptions) {
  const { url, listenerUrl, ca, tlsServerName } = options
  if (url !== undefined && listenerUrl !== undefined) throw new UsageError('--url and --listener-url: give one of them')
  const authority = ca === undefined ? undefined : certificatesIn('--ca', ca, await readNamedFile('--ca', ca))
  const found =
    url !== undefined
      ? apiServerAt('--url', url, `/v1/relay/${key}`)
      : listenerUrl !== undefined
        ? apiServerAt('--listener-url', listenerUrl)
        : await apiServerOf(key, options)
  const isPlain = found.url.startsWith('http:')
  if (isPlain && ca !== undefined) throw new UsageError(`--ca: ${found.url} is no https URL`)
  if (isPlain && tlsServerName !== undefined) throw new UsageError(`--tls-server-name: ${found.url} is no https URL`)
  return {
    url: found.url,
    ca: authority ?? found.ca,
    name: tlsServerName === undefined ? found.name : named('--tls-server-name', tlsServerName),
    note: authority === undefined ? found.note : undefined
  }
}

/** @throws {UsageError} for files that cannot be used; never with what they hold */
async function readUser({ callTokenFile, cert, key }: KubeconfigOptions): Promise<KubeUser> {
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError('--cert and --key are given both or not at all')
  }
  if (callTokenFile !== undefined) {
    if (cert !== undefined) throw new UsageError('--call-token-file and --cert: give one of them')
    const token = (await readSecretFile('--call-token-file', callTokenFile)).trim()
    if (!TOKEN.test(token)) throw new UsageError(`--call-token-file ${callTokenFile}: it holds no token`)
    return { kind: 'token', token }
  }
  if (cert === undefined || key === undefined) return { kind: 'none' }
  const certificate = certificatesIn('--cert', cert, await readNamedFile('--cert', cert))
  const ownKey = await readSecretFile('--key', key)
  checkCertificatePair({ name: `--cert ${cert}`, text: certificate }, { name: `--key ${key}`, text: ownKey })
  return { kind: 'certificate', certificate, key: ownKey }
}

function named(option: string, name: string): string {
  if (NAME.test(name)) return name
  throw new UsageError(`${option} ${JSON.stringify(name.slice(0, 80))}: expected letters, digits, and . _ - within`)
}

async function writeOut(file: string, text: string): Promise<void> {
  try {
    await writeNewFile(file, text, OWNER_ONLY)
  } catch (error) {
    const why = errorCode(error) === 'EEXIST' ? `${file} is there already; move it away first` : errorMessage(error)
    throw new UsageError(`--out: ${why}`, { cause: error })
  }
}
