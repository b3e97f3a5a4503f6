// The page behind a mailed link: the code is behind the #, so no server's log has it.

const DONE = {
  registered: 'Welcome. You can now sign in with your email and this password.',
  password_changed: 'Your password is changed, and you are signed out everywhere else.',
  linked: 'You can now sign in with this address.',
};

const form = document.getElementById('form');
const said = document.getElementById('said');
const code = location.hash.slice(1);
history.replaceState(null, '', location.pathname); // out of the history, and out of sight

function say(text, isGood = false) {
  said.textContent = text;
  if (isGood) form.hidden = true;
}

async function confirm() {
  const password = document.getElementById('password').value;
  const reply = await fetch('/v1/auth/email/confirm', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(password ? { code, password } : { code }),
  });
  const answer = await reply.json();
  say(reply.ok ? DONE[answer.done] : answer.message, reply.ok);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = form.querySelector('button');
  button.disabled = true;
  try {
    await confirm();
  } catch {
    say('The server cannot be reached; try again.');
  } finally {
    button.disabled = false;
  }
});

if (!code) say('Open this page by the link in your mail.');
