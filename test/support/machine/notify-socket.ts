import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { eventually } from '../eventually.js'
import { startProcess, temporaryFolder } from './treeline-command.js'

/** Node has no UNIX datagrams: Python takes them, and prints each as a line. */
const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True:
    print(s.recv(4096).decode().replace('\\n', ' '), flush=True)
`

export interface NotifySocket {
  /** The value of `NOTIFY_SOCKET`. */
  readonly path: string
  readonly messages: readonly string[]
  /** Resolves once a message that came after the first `skip` ones begins so. */
  received(start: string, skip?: number): Promise<number>
}

/** Stands in for the service manager's end of the notification socket. */
export async function openNotifySocket(t: TestContext): Promise<NotifySocket> {
  const path = join(await temporaryFolder(t), 'notify')
  const receiver = startProcess(t, 'python3', ['-c', RECEIVER, path], {})
  const messages: string[] = []
  let rest = ''
  receiver.child.stdout?.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    messages.push(...lines.filter(line => line !== 'bound' && !line.startsWith('BARRIER')))
  })
  await receiver.printed('bound')
  return {
    path,
    messages,
    received: (start, skip = 0) =>
      eventually(`${start} after ${skip} messages`, () => {
        const index = messages.findIndex((message, at) => at >= skip && message.startsWith(start))
        return index === -1 ? undefined : { index }
      }).then(({ index }) => index)
  }
}

/** Waits until a process has a handler for a signal. Node itself has some for SIGTERM, SIGINT and SIGUSR1. */
export async function untilCatches(pid: number, signal: NodeJS.Signals): Promise<void> {
  await eventually(`a handler for ${signal}`, () => {
    const [, caught = '0'] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return ((BigInt(`0x${caught}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n
  })
}
