"""What people look at outside the widget: pictures of labels."""

from nbannotate.report.pictures import contact_sheet, show

__all__ = ["contact_sheet", "show"]
