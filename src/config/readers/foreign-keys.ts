import type { Section } from './section.js'

const NOT_USED = 'a setting of rudder-relayd that Treeline does not use'

/**
 * Names what an existing relay's `main.conf` may have and Treeline does not do, so that nobody takes it for done.
 * @param main the whole file
 */
export function noticeForeignKeys(main: Section): void {
  const general = main.section('general')
  for (const key of ['core_threads', 'blocking_threads']) noticeIfPresent(general, key, NOT_USED)
  const output = main.section('output')
  noticeIfPresent(output, 'database', NOT_USED)
  const upstream = output.section('upstream')
  noticeIfPresent(upstream, 'url', `${NOT_USED}; set output.upstream.host instead`)
  noticeIfPresent(upstream, 'default_password', NOT_USED)
  noticeIfPresent(upstream, 'verify_certificates', `${NOT_USED}; set general.peer_authentication instead`)
  noticeProcessing(main.section('processing'))
}

function noticeIfPresent(section: Section, key: string, text: string): void {
  if (section.raw(key) !== undefined) section.notice('warning', key, text)
}

/** An absent `output` is `disabled`, as it is for the existing relay, whose packaged file has these sections empty. */
function noticeProcessing(processing: Section): void {
  for (const name of ['inventory', 'reporting']) {
    const section = processing.section(name)
    for (const key of ['directory', 'catchup', 'cleanup', 'skip_event_types']) section.raw(key)
    const output = section.raw('output')
    if (output === undefined || output === 'disabled') continue
    section.notice(
      'error',
      'output',
      'Treeline forwards no inventories and reports; keep rudder-relayd for these, on another port, and set "disabled" here'
    )
  }
}
