/**
 * The handling of SIGHUP. Its default action is death, also in the moment before a program has set its own handler:
 * so this is what each program imports first, and until it says what to do the signal is only remembered. A command
 * that ends by itself goes on; when its terminal has gone, its next output ends it.
 */

let isAsked = false
let isBusy = false
let reload: (() => Promise<void>) | undefined

process.on('SIGHUP', () => {
  isAsked = true
  void serveHangup() // never rejects
})

/**
 * Says what SIGHUP is to do from now on. What came before is done at once; what comes while it is being done leads to one
 * more of it.
 * @param work never rejects
 */
export function onHangup(work: () => Promise<void>): void {
  reload = work
  void serveHangup()
}

async function serveHangup(): Promise<void> {
  if (isBusy) return
  isBusy = true
  while (isAsked && reload !== undefined) {
    isAsked = false
    await reload()
  }
  isBusy = false
}
