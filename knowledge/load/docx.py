"""Word documents (docx)."""

from __future__ import annotations

import io

from knowledge.load.content import Content
from knowledge.load.limits import LoadLimits
from knowledge.load.package import open_package
from knowledge.load.sections import sections_of


def load_docx(data: bytes, name: str, limits: LoadLimits) -> Content:
    """Sections by Word's headings; tables become Markdown's, pictures are left out.

    Raises:
        DocumentUnreadable: when it is broken or protected.
        DocumentTooLarge: when it unpacks to more than allowed.
    """
    import mammoth
    from markdownify import markdownify

    package = open_package(data, name, limits, "Word document")
    page = mammoth.convert_to_html(io.BytesIO(data), convert_image=mammoth.images.img_element(lambda _image: {}))
    markdown = markdownify(
        page.value,
        heading_style="ATX",
        strip=["img", "a"],
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
    )
    heading, sections = sections_of(markdown)
    return Content(package.title or heading, sections, package.language, package.modified)
