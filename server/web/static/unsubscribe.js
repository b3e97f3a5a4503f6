// The page behind the unsubscribe link of a digest: the token is behind the #, so no log has it.

import "/static/site.js";

const form = document.getElementById('form');
const said = document.getElementById('said');
const token = location.hash.slice(1);

async function unsubscribe() {
  const reply = await fetch(`/v1/notifications/unsubscribe/${encodeURIComponent(token)}`, { method: 'POST' });
  const answer = await reply.json();
  said.textContent = reply.ok ? 'You are unsubscribed.' : answer.message;
  form.hidden = reply.ok;
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = form.querySelector('button');
  button.disabled = true;
  try {
    await unsubscribe();
  } catch {
    said.textContent = 'The server cannot be reached; try again.';
  } finally {
    button.disabled = false;
  }
});

if (!token) said.textContent = 'Open this page by the link in your email.';
