// The load generator: raw sockets, because an HTTP client costs more than the server that it is to measure.
import { existsSync, readFileSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { LoadOptions, LoadResult } from './load.js'

const READ_BUFFER_BYTES = 65_536
const CHECK_END_EVERY_MS = 20
const HEADERS_END = Buffer.from('\r\n\r\n')
/** `HTTP/1.1 200`: where the status begins and ends. */
const STATUS_FROM = 9
const STATUS_TO = 12

const options = JSON.parse(process.argv[2] ?? '{}') as LoadOptions
const body = options.bodyFile === undefined ? undefined : readFileSync(options.bodyFile)
const fixedRequest = /\{\w+\}/.test(options.path) ? undefined : makeRequest(0)

const timesMs: number[] = []
const statusCounts = new Map<string, number>()
const idle: Lane[] = []
const overdue: number[] = []
const sockets = new Set<Socket>()
let sent = 0
let answered = 0
let isEnding = false

interface Lane {
  socket: Socket
  startedAt: number
  /** Bytes of an answer that came in parts. */
  part: Buffer | undefined
}

const stalls = monitorEventLoopDelay({ resolution: 1 })
await Promise.all(Array.from({ length: options.connections }, openLane))
const startedAt = performance.now()
const cpuBefore = process.cpuUsage()
stalls.enable()
if (options.perSecond === undefined) for (const lane of idle.splice(0)) sendNext(lane, performance.now())
else pace(options.perSecond)
const endTimer = setInterval(checkEnd, CHECK_END_EVERY_MS)

function openLane(): Promise<void> {
  return new Promise((resolve, reject) => {
    const lane: Lane = { socket: connectLane(() => lane, resolve, reject), startedAt: 0, part: undefined }
    sockets.add(lane.socket)
    idle.push(lane)
  })
}

/** A connection of a lane. @param lane read when bytes come */
function connectLane(lane: () => Lane, connected: () => void, failed: (error: Error) => void): Socket {
  const buffer = Buffer.allocUnsafe(READ_BUFFER_BYTES)
  const socket = createConnection({
    host: '127.0.0.1',
    port: options.port,
    noDelay: true,
    onread: {
      buffer,
      callback: (length: number) => {
        received(lane(), buffer.subarray(0, length))
        return true
      }
    }
  })
  socket.once('connect', connected)
  socket.once('error', failed)
  socket.once('close', () => {
    sockets.delete(socket)
    if (isEnding || options.isOnce === true) return
    console.error('the server closed a connection')
    process.exit(1)
  })
  return socket
}

function received(lane: Lane, chunk: Buffer): void {
  let answer = chunk
  if (lane.part !== undefined) {
    answer = Buffer.concat([lane.part, chunk])
    lane.part = undefined
  }
  if (!isComplete(answer)) {
    lane.part = Buffer.from(answer) // the socket's buffer is used again
    return
  }
  const now = performance.now()
  timesMs.push(now - lane.startedAt)
  const status = answer.toString('latin1', STATUS_FROM, STATUS_TO)
  statusCounts.set(status, (statusCounts.get(status) ?? 0) + 1)
  answered += 1
  if (isEnding) return
  const due = options.perSecond === undefined ? now : overdue.shift()
  if (due === undefined) idle.push(lane)
  else sendNext(lane, due)
}

function isComplete(answer: Buffer): boolean {
  if (options.method === 'HEAD') return answer.length >= 4 && answer.readUInt32BE(answer.length - 4) === 0x0d0a0d0a
  const end = answer.indexOf(HEADERS_END)
  if (end < 0) return false
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.toString('latin1', 0, end))?.[1] ?? '0'
  return answer.length >= end + HEADERS_END.length + Number(length)
}

function sendNext(lane: Lane, due: number): void {
  if (options.count !== undefined && sent >= options.count) return
  const request = fixedRequest ?? makeRequest(sent)
  const isUsed = lane.startedAt > 0
  lane.startedAt = due
  sent += 1
  if (options.isOnce === true && isUsed) {
    lane.socket = connectLane(
      () => lane,
      () => undefined,
      error => {
        console.error(error)
        process.exit(1)
      }
    )
    sockets.add(lane.socket)
  }
  lane.socket.write(request)
}

function makeRequest(number: number): Buffer {
  const ttl = Math.round(((options.ttlUntilMs ?? 0) - Date.now()) / 1000)
  const path = options.path.replace('{n}', String(number)).replace('{ttl}', String(ttl))
  const headers = [`${options.method} ${path} HTTP/1.1`, `Host: 127.0.0.1:${options.port}`]
  if (options.isOnce === true) headers.push('Connection: close')
  if (body !== undefined) headers.push('Content-Type: application/octet-stream', `Content-Length: ${body.length}`)
  const head = Buffer.from(`${headers.join('\r\n')}\r\n\r\n`, 'latin1')
  return body === undefined ? head : Buffer.concat([head, body])
}

/** Requests that fall due while all connections are busy wait, and their wait counts. */
function pace(perSecond: number): void {
  let due = 0
  setInterval(() => {
    const now = performance.now()
    for (; startedAt + (due * 1000) / perSecond <= now && !isEnding; due += 1) {
      const lane = idle.shift()
      const dueAt = startedAt + (due * 1000) / perSecond
      if (lane === undefined) overdue.push(dueAt)
      else sendNext(lane, dueAt)
    }
  }, 1)
}

function checkEnd(): void {
  const seconds = (performance.now() - startedAt) / 1000
  const isOver =
    (options.seconds !== undefined && seconds >= options.seconds) ||
    (options.count !== undefined && answered >= options.count) ||
    (options.untilFile !== undefined && existsSync(options.untilFile))
  if (!isOver) return
  clearInterval(endTimer)
  isEnding = true
  report(seconds)
  for (const socket of sockets) socket.destroy()
  process.exitCode = 0
  setImmediate(() => process.exit())
}

function report(seconds: number): void {
  const cpu = process.cpuUsage(cpuBefore)
  const sorted = Float64Array.from(timesMs).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  const result: LoadResult = {
    requests: answered,
    perSecond: answered / seconds,
    statuses: Object.fromEntries(statusCounts),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    generatorLoad: (cpu.user + cpu.system) / 1e6 / seconds,
    generatorStallMs: stalls.max / 1e6
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
