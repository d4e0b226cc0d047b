import { readFileSync } from 'node:fs'

const SAMPLE_EVERY_MS = 20
const MIB = 1024 * 1024

/** Resident memory of a process, now, in MiB. Linux only. */
export function residentMib(pid: number): number {
  return statusMib(pid, 'VmRSS')
}

/** The most that was ever resident, in MiB, as the kernel noted it. */
export function peakResidentMib(pid: number): number {
  return statusMib(pid, 'VmHWM')
}

/** @returns what `work` gave, and the most that was resident meanwhile, of each process, in MiB */
export async function peakDuring<T>(
  pids: readonly number[],
  work: () => Promise<T>
): Promise<{ result: T; peaksMib: number[] }> {
  const peaksMib = pids.map(residentMib)
  const sample = () => {
    for (const [index, pid] of pids.entries()) peaksMib[index] = Math.max(peaksMib[index] ?? 0, residentMib(pid))
  }
  const timer = setInterval(sample, SAMPLE_EVERY_MS)
  try {
    const result = await work()
    sample()
    return { result, peaksMib }
  } finally {
    clearInterval(timer)
  }
}

function statusMib(pid: number, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  if (match === null) throw new Error(`no ${field} of process ${pid}`)
  return (Number(match[1]) * 1024) / MIB
}
