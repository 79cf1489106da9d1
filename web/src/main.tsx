import './style/base.css';
import './style/layout.css';
import './style/conversation.css';
import './style/prose.css';
import { render } from 'preact';
import { refresh } from './state/list';
import { load } from './state/me';
import { isSidebarOpen } from './state/preferences';
import { App } from './view/app';
import { listen } from './view/shortcuts';
import { isNarrow } from './view/sidebar';

if (isNarrow()) isSidebarOpen.value = false;
listen();
render(<App />, document.getElementById('page')!);
void load();
void refresh();
