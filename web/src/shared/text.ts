import type { Tab } from './types';

export const price = (cents: number) => (cents / 100).toFixed(2);

export const tabTitle = ({ table, tabNumber }: Tab) => (table ? `Table ${table}` : `Tab ${tabNumber}`);
