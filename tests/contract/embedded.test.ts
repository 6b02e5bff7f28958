import { leftOfSupervisors } from '../support/left-of-supervisors.ts'
import { describeProvider } from './provider-contract.ts'

describeProvider({ name: 'embedded', leftovers: () => leftOfSupervisors(process.pid) })
