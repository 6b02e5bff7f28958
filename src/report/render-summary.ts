import type { EventOf, InfraEvent } from './events.ts'
import { count, listSome, renderEvent, seconds } from './reporter.ts'
import { versioned } from './versioned.ts'

const TEMPLATES_LISTED = 6

/** Renders the summary of a run in a few lines, or in one if `isShort`. Returns no lines if nothing was started. */
export function renderSummary(events: readonly InfraEvent[], isShort: boolean): readonly string[] {
  // The services are sorted, as the order of their start varies between runs.
  const services = ofType(events, 'service-healthy').toSorted((left, right) => (left.service < right.service ? -1 : 1))
  const templates = ofType(events, 'template-ready')
  const leases = ofType(events, 'leases-summary')
  const lines = isShort
    ? [[...services.map(renderBriefly), ...countSome(templates.length, 'template'), ...leases.map(countLeases)]]
    : [services.map(renderEvent), listTemplates(events), leases.map(renderEvent)]
  return lines.map((parts) => parts.join(', ')).filter(Boolean)
}

function ofType<Type extends InfraEvent['type']>(events: readonly InfraEvent[], type: Type): EventOf<Type>[] {
  return events.filter((event): event is EventOf<Type> => event.type === type)
}

function listTemplates(events: readonly InfraEvent[]): string[] {
  const filled = [...ofType(events, 'template-ready'), ...ofType(events, 'seeds-loaded')].map(renderEvent)
  return filled.length > 0 ? [listSome(filled, TEMPLATES_LISTED)] : []
}

function renderBriefly({ service, version, elapsedMs }: EventOf<'service-healthy'>): string {
  return `${versioned(service, version)} after ${seconds(elapsedMs)}`
}

function countSome(number: number, noun: string): string[] {
  return number > 0 ? [count(number, noun)] : []
}

function countLeases(leases: EventOf<'leases-summary'>): string {
  return count(leases.count, 'lease')
}
