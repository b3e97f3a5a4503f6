"""Creations, companions and one's own things in the browser."""

from pathlib import Path

from tests.e2e.pages.conftest import Site
from tests.e2e.social.conftest import PNG

TITLES = "[...document.querySelectorAll('#creations h2')].map((each) => each.textContent)"
ANSWERS = "[...document.querySelectorAll('[data-role=assistant]')]"


async def test_creation_is_shared_found_liked_and_talked_about(site: Site, tmp_path: Path) -> None:
    ann, bob = await site.guests("Ann", "Bob")
    file = tmp_path / "lake.png"
    file.write_bytes(PNG)
    async with site.page("/creations", ann) as page:
        await page.until("!!document.querySelector('#make summary')")
        await page.click("#make summary")
        await page.run("document.getElementById('title').focus()")
        await page.write("A lake at dawn")
        await page.run("document.getElementById('tags').focus()")
        await page.write("#lake dawn")
        node = await page._ask("DOM.getDocument")
        found = await page._ask(
            "DOM.querySelector", nodeId=node["root"]["nodeId"], selector="#file"
        )
        await page._ask("DOM.setFileInputFiles", files=[str(file)], nodeId=found["nodeId"])
        await page.run("document.getElementById('title').form.requestSubmit()")
        await page.until("location.pathname.startsWith('/creations/')")
        await page.until("document.querySelector('h1')?.textContent === 'A lake at dawn'")
        await page.until("!!document.querySelector('img.shown')")  # once it is processed
        creation = str(await page.run("location.pathname.split('/').at(-1)"))

    async with site.page("/creations?tag=lake", bob) as page:
        await page.until(f"{TITLES}.includes('A lake at dawn')")
        await page.run("document.getElementById('q').focus()")
        await page.write("dawn")
        await page.press("Enter")
        await page.until("location.search.includes('q=dawn')")
        await page.until(f"{TITLES}.length === 1")
        await page.click("#creations h2 a")
        await page.until("!!document.getElementById('like')")
        await page.click("#like")
        await page.until("document.getElementById('like').ariaPressed === 'true'")
        await page.run("document.getElementById('say-new').focus()")
        await page.write("<img src=x onerror=alert(1)>")
        await page.run("document.getElementById('say-new').form.requestSubmit()")
        said = "document.querySelector('.comments .said')?.textContent"
        await page.until(f"{said} === '<img src=x onerror=alert(1)>'")
    stored = await site.ask(ann, "GET", f"/v1/creations/{creation}")
    assert (stored["like_count"], stored["comment_count"]) == (1, 1)

    async with site.page("/me", ann, width=360) as page:
        await page.until("document.getElementById('unread')?.textContent === '2 unread'")
        text = await page.run("document.getElementById('notifications').innerText")
        assert "Bob liked your creation" in text
        assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        await page.click("#read-all")
        await page.until("document.getElementById('unread').textContent === '0 unread'")


async def test_companion_answers_in_pieces_is_stopped_and_remembers(site: Site) -> None:
    [ann] = await site.guests("Ann")
    async with site.page("/companions", ann) as page:
        await page.until("!!document.querySelector('[data-companion=lumina]')")
        await page.click("[data-companion=lumina]")
        await page.until("!!document.getElementById('say')")
        await page.until("location.search.includes('conversation=')")
        await page.run("document.getElementById('say').focus()")
        await page.write("My name is Ann and I live in Oslo.")
        await page.press("Enter")
        await page.until(f"!!{ANSWERS}[0]?.querySelector('button')")
        await page.until("document.querySelectorAll('.memories input').length === 2")
        kept = await page.run(
            "[...document.querySelectorAll('.memories input')].map((each) => each.value).join()"
        )
        assert "Oslo" in kept
        forget = "[...document.querySelectorAll('.memories button')].at(-1).click()"
        await page.run(forget)
        await page.until("document.querySelectorAll('.memories input').length === 1")

        await page.reload()
        await page.until(f"{ANSWERS}.length === 1 && {ANSWERS}[0].innerText.includes('Lumina')")
        await page.run("document.getElementById('say').focus()")
        await page.write("Tell me more.")
        await page.press("Enter")
        await page.until(f"{ANSWERS}.length === 2 && !!{ANSWERS}[1].querySelector('button')")
        await page.click("[data-role=assistant] button")
        await page.until("!!document.querySelector('[data-role=assistant] [aria-pressed=true]')")


async def test_person_exports_and_erases_themselves(site: Site) -> None:
    [ann] = await site.guests("Ann")
    async with site.page("/me", ann, allowed=["401", "404"]) as page:
        await page.until("!!document.getElementById('consent-analytics')")
        await page.click("#listed")
        await page.until("document.body.innerText.includes('Your choice is stored')")
        listing = await site.ask(ann, "GET", "/v1/me/board-listing")
        assert listing == {"is_listed": False}
        await page.run(
            "window.saved = null; const make = URL.createObjectURL;"
            "URL.createObjectURL = (blob) => { window.saved = blob.size; return make(blob); };"
        )
        await page.click("#export")
        await page.until("window.saved > 500")
        username = (await site.ask(ann, "GET", "/v1/me"))["username"]
        await page.run("document.getElementById('confirm').focus()")
        await page.write(username)
        await page.click("#erase")
        await page.until("!!document.querySelector('dialog button[value=yes]')")
        await page.click("dialog button[value=yes]")
        await page.until("document.querySelector('h1').textContent === 'Your account is erased.'")
        assert await page.run("localStorage.getItem('playhall.session')") is None
        await page.reload()
        await page.until("document.body.innerText.includes('You are not signed in')")
