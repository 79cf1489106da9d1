/** Line drawings of our own, one stroke width. They are never the only name of a button. */

const PATHS = {
  plus: 'M12 5v14M5 12h14',
  send: 'M12 19V5M6 11l6-6 6 6',
  stop: 'M7 7h10v10H7z',
  bolt: 'M13 3L5 14h6l-1 7 8-11h-6z',
  search: 'M11 4a7 7 0 1 1 0 14a7 7 0 0 1 0-14zM16.200 16.200L21 21',
  menu: 'M4 7h16M4 12h16M4 17h10',
  pen: 'M4 20l1-4L16.500 4.500a2 2 0 0 1 3 3L8 19zM14.500 6.500l3 3',
  bin: 'M5 7h14M10 7V4.500h4V7M7 7l1 13h8l1-13',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  again: 'M20 11a8 8 0 1 0-2.300 6.300M20 5v6h-6',
  columns: 'M4 5h7v14H4zM13 5h7v14h-7z',
  clip: 'M20 11.500l-8.500 8a5 5 0 0 1-7-7l9-8.500a3.400 3.400 0 0 1 4.700 4.800l-8.700 8.200a1.700 1.700 0 0 1-2.400-2.400l7.900-7.400',
  gear: 'M12 9a3 3 0 1 1 0 6a3 3 0 0 1 0-6zM12 3v3M12 18v3M3 12h3M18 12h3M5.600 5.600l2.200 2.200M16.200 16.200l2.200 2.200M18.400 5.600l-2.200 2.200M7.800 16.200l-2.200 2.200',
  left: 'M14.500 6L8.500 12l6 6',
  right: 'M9.500 6l6 6-6 6',
  down: 'M6 9.500l6 6 6-6',
  close: 'M6 6l12 12M18 6L6 18',
  out: 'M12 4v11M7.500 10.500L12 15l4.500-4.500M5 19h14',
  trace: 'M4 18c3-9 5-9 8-4s5 3 8-8',
  sun: 'M12 8a4 4 0 1 1 0 8a4 4 0 0 1 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500L19 19M19 5l-1.500 1.500M6.500 17.500L5 19',
  keys: 'M3 7h18v10H3zM7 14h10M7 10.500h.01M10.500 10.500h.01M14 10.500h.01M17 10.500h.01',
  dials: 'M4 8h9M17 8h3M4 16h3M11 16h9M15 6v4M9 14v4',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

interface ButtonProps {
  icon: IconName;
  label: string;
  onClick: (event: MouseEvent) => void;
  isLabelShown?: boolean;
  class?: string;
  isDisabled?: boolean;
  isPressed?: boolean;
  keys?: string;
}

export function IconButton({ icon, label, onClick, isLabelShown = false, class: extra = '', isDisabled = false, isPressed, keys }: ButtonProps) {
  return (
    <button
      type="button"
      class={`button ${isLabelShown ? '' : 'bare'} ${extra}`}
      onClick={onClick}
      disabled={isDisabled}
      aria-pressed={isPressed}
      aria-label={isLabelShown ? undefined : label}
      aria-keyshortcuts={keys}
      title={isLabelShown && !keys ? undefined : keys ? `${label} (${keys.replace('+', ' ')})` : label}
    >
      <Icon name={icon} />
      {isLabelShown && <span>{label}</span>}
    </button>
  );
}
