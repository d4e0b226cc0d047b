import type { Command } from 'commander'
import { downloadFile, type Voucher } from '../../file-exchange/download.js'
import { checkSourceKeyHash, parseOpenKey } from '../../file-exchange/key-files.js'
import { readNamedFile } from '../../file-exchange/places/named-file.js'
import { checkFileKey } from '../../values/ids.js'
import { UsageError } from '../command-error.js'
import { addServerOptions, type ServerOptions, withClient } from '../options/connection-options.js'
import { withDownloadAdvice } from '../options/download-advice.js'
import { example } from '../options/example.js'
import { ownNodeId } from '../options/node-identity.js'
import { ProgressBar } from '../output/progress-bar.js'
import { showBytes } from '../output/table.js'

interface FetchOptions extends ServerOptions {
  readonly target?: string
  readonly openKey?: string
  readonly keepSealed?: boolean
  readonly sourceKeyHash?: string
  readonly allowUnverified?: boolean
}

const VOUCHED: Readonly<Record<Voucher, string>> = {
  option: 'signature verified, the key is that of --source-key-hash',
  'nodes list': "signature verified, the key is that of the relay's nodes list",
  relay: 'signature verified, with the key that the relay names; --source-key-hash checks that it is the right one',
  nobody: 'NOT verified'
}

/** `treeline fetch <source> <file-id> <dest>`. */
export function register(program: Command): void {
  addServerOptions(program.command('fetch').description('Fetch a shared file, and verify it'))
    .argument('<source>', 'id of the node that shared it')
    .argument('<file-id>', 'name of the file')
    .argument('<dest>', 'path for the file: replaced at once, after the checks; a FIFO or device is written to')
    .option('--target <id>', "id of this node (default: from --config, or the agent's)")
    .option('--open-key <file>', 'private key (PEM) that opens a sealed file')
    .option('--keep-sealed', 'keep a sealed file as it is')
    .option('--source-key-hash <hash>', 'key-hash of the source, as in nodeslist.json')
    .option('--allow-unverified', 'accept a file whose signer the relay does not name')
    .addHelpText('after', example('treeline fetch node-a report.txt ./report.txt --config /etc/treeline-agent'))
    .action(fetchShared)
}

async function fetchShared(source: string, fileId: string, destination: string, options: FetchOptions): Promise<void> {
  const fileKey = { target: await ownNodeId(options.target, '--target', options), source, fileId }
  checkFileKey(fileKey)
  checkSourceKeyHash('--source-key-hash', options.sourceKeyHash)
  if (options.openKey !== undefined && options.keepSealed === true) {
    throw new UsageError('--open-key opens the file and --keep-sealed does not: give one of them')
  }
  const openKey = options.openKey === undefined ? undefined : await openKeyIn(options.openKey)
  let bar: ProgressBar | undefined
  const onProgress = (bytes: number, totalBytes: number | undefined): void => {
    bar ??= new ProgressBar(fileId, totalBytes)
    bar.update(bytes)
  }
  const { sourceKeyHash, allowUnverified, keepSealed } = options
  await withClient(options, async client => {
    try {
      const request = {
        fileKey,
        destination,
        openKey,
        keepSealed,
        sourceKeyHash,
        sourceKeyName: '--source-key-hash',
        allowUnverified,
        onProgress,
        mayStream: true
      }
      const { bytes, voucher, isStream } = await downloadFile(client, request)
      bar?.clear()
      const told = `${destination}: ${showBytes(bytes)}; ${VOUCHED[voucher]}`
      if (isStream)
        console.error(told) // its output may be where the file went
      else console.log(told)
    } catch (error) {
      throw withDownloadAdvice(error)
    } finally {
      bar?.clear()
    }
  })
}

async function openKeyIn(path: string): Promise<Uint8Array> {
  return parseOpenKey({ pem: await readNamedFile('--open-key', path), path })
}
